"""SQL literals and identifiers for the server's own statements."""

ESCAPED = str.maketrans({"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"})


def text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def identifier(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def parameter(value: str) -> str:
    """The value of a `{name:String}`: the engine reads it as a field of a TSV row."""
    return value.translate(ESCAPED)
