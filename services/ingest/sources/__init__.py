"""The tools that people already use. Each is pure: it verifies, splits, redacts and translates requests."""
