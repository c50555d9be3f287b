"""The HTTP side of ingest: events, tools' requests and participants."""
