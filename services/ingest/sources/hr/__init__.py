"""HR directories as JSON or CSV: who is employed, on leave, or has left."""
