"""Bookings, attendance, and the outcomes of meetings."""
