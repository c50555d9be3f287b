"""`rapport ingest import`: a JSONL file of CloudEvents through the gateway."""
