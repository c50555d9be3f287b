"""How notify moves: score events in, one transaction a round, deliveries out."""
