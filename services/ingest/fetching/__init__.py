"""Fetches from the APIs of tools what their notifications point to."""
