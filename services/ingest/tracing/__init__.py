"""`rapport ingest trace`: what became of an event, or of what a tool sent."""
