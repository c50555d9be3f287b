"""Renders: what a person or a machine reads, as each channel takes it. No clock and no I/O."""
