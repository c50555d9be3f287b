"""notify: turns score changes into alerts and delivers them to people."""
