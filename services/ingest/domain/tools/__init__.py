"""What tools say, and how it becomes events of relationships."""
