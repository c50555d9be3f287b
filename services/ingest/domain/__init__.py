"""Decides what is let in, and why not; knows no clock and no transport."""
