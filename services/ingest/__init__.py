"""Raw input becomes trusted events: the gateway, the raw topic, tokens, programmes and imports."""
