"""Commands about alerts, destinations, deliveries and messages."""
