"""What is known of a relationship up to an instant, boiled down to what its score needs.

Selection comes first, in every group the newest facts; what was retracted is left out afterwards."""
