"""The embedded stack: Kafka, ClickHouse and the services as separate processes on one machine."""
