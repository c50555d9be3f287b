"""Zoom: webhooks of meetings, as documented in its API reference of meeting events."""
