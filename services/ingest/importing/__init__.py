"""`rapport ingest import`: a file of events, or a table, through the gateway."""
