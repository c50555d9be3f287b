"""HR directories: who is with us, on leave, or has left, as JSON or CSV."""
