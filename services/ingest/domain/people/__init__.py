"""Participants, their identities and their relationships."""
