"""The facts of a relationship up to an instant, reduced to what its score needs.

Selection comes first: the newest facts of every group. Retracted ones are dropped afterwards."""
