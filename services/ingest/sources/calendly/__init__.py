"""Calendly: webhook subscriptions of its API v2."""
