"""The HTTP side of ingest: `POST /v1/events`."""
