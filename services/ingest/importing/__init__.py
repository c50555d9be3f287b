"""`rapport ingest import`: sends a file of events, or a table, through the gateway."""
