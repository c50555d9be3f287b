"""Outcomes of meetings, concluded from the log."""
