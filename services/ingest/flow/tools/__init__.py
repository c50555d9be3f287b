"""Processes the raw topics of tools: payloads become events on the log and directory statements."""
