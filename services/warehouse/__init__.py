"""The warehouse service: stores the log in ClickHouse tables for data teams."""
