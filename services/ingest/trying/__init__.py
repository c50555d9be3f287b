"""`rapport ingest try`: what becomes of a payload, told without sending anything."""
