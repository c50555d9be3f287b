"""What a process needs and no mentoring: settings, logs, health and metrics, Kafka, the batch loop, ClickHouse."""
