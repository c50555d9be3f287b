"""Cal.com: webhooks of bookings, payload version 2021-10-20 and its additive successors."""
