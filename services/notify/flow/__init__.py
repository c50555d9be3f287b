"""The data flow of notify: score events in, one transaction per round, deliveries out."""
