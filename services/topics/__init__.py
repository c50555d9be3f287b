"""The admin command that creates the Kafka topics."""
