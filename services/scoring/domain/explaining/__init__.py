"""Explaining a score: its parts, its story, and the smallest change that would lift it."""
