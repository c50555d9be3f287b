"""Output formats: their HTTP content types, and which may be sent block by block."""

# Formats of which each block is complete in itself; every other one is made in one engine call.
STREAMABLE = {"CSV", "JSONEachRow", "Native", "RowBinary", "TSV", "TSVRaw", "TabSeparated", "TabSeparatedRaw"}
DEFAULT = "TabSeparated"
CONTENT_TYPES = {
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "Pretty": "text/plain; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
}


def content_type(name: str) -> str:
    return CONTENT_TYPES.get(name, "application/octet-stream")
