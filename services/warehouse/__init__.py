"""The warehouse service: what the log says, as tables for data teams."""
