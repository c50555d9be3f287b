"""What is known of people, read and written."""
