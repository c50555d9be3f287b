"""Who is who, and who is paired with whom."""
