"""What a notification points to is fetched from the tool's own API."""
