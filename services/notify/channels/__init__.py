"""Ways to people. A channel sends one message and says what the answer means; it never retries and never decides."""
