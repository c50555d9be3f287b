"""Trying another profile on the past: who would have alerted, and when."""
