"""Independent services that meet in Kafka topics: ingest, scoring, warehouse and notify, on one small runtime."""
