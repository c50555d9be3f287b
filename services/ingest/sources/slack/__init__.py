"""Slack: the Events API, messages only: that one was sent, never what it says."""
