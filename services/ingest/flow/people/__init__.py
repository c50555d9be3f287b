"""Projects people, relationships and bookings to compacted topics, and follows these."""
