"""How long tests wait for what must come."""

PATIENCE = 180.0
"""Seconds: what has not come by then never will. Far more than any wait takes, as machines are slow and shared."""
