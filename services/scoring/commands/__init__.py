"""What operators ask of scores: one command per file."""
