"""Decides what is admitted and why not, without clock and transport."""
