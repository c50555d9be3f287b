"""Explaining a score: its parts, its story, and what to do."""
