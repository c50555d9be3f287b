"""Replay: recompute all rows, from the log or a copy of it, into a shadow table that then replaces the table in use."""
