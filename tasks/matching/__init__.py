"""Recognising the same call, where it touches the database: reading, calibrating, deciding in pieces, writing."""
