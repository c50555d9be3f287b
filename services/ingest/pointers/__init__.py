"""From a notification that only points to what it points to: fetched from the tool's API, and recorded like a push."""
