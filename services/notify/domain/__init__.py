"""Decides: rules, episodes, deadlines, wording, the order of deliveries. No clock and no I/O."""
