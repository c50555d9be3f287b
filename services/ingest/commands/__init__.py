"""What operators type: tokens and programmes."""
