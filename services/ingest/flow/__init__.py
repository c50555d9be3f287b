"""Moves records and requests: the log, the raw topics, dead letters, tokens and what all parts of a process share."""
