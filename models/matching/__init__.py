"""Recognising the same call in several accounts: legs, candidates, calibration, evidence, assignment. Pure."""
