"""The admin step that creates the Kafka topics."""
