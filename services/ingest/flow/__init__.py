"""How ingest moves: what was admitted onto the log, what was not into quarantine, tokens as the log says."""
