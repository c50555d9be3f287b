"""In-house tools, each mapped to mentoring by rules in the settings of its connection."""
