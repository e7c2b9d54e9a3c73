"""Recognising the same call in generated worlds whose truth is known, next to others' ways."""
