"""Replay: all rows again, from the log or a copy of it, into a table of their own that then takes the other's place."""
