"""Google Calendar: pushes that only point to a calendar, and its events."""
