"""What was booked, who came, and what became of it."""
