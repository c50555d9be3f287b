"""The shared language of all services: events, scores, alerts, participants, programmes and topics."""
