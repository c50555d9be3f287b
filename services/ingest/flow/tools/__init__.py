"""From the raw topics of tools to the log."""
