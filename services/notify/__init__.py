"""notify: from score changes to people."""
