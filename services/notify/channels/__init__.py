"""Channels: each sends one message and interprets the answer; it never retries and never decides."""
