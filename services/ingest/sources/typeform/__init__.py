"""Typeform: forms that mentors and mentees answer."""
