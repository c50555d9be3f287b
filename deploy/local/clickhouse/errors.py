"""Errors as a ClickHouse server reports them: an error code, its name, and the corresponding HTTP status."""

import re
from typing import Self

UNKNOWN_EXCEPTION = 1002
CODE = re.compile(r"Code: (\d+)\.")
# src/Server/HTTP/exceptionCodeToHTTPStatus.cpp of ClickHouse; every other code is a 500
STATUSES = {
    400: (6, 26, 27, 32, 33, 36, 38, 41, 43, 53, 62, 69, 70, 72, 117, 167, 168, 271, 306, 367, 386, 457),
    401: (194,),
    403: (192, 193, 497, 512, 516),
    404: (8, 10, 16, 46, 47, 50, 56, 60, 73, 78, 81, 115, 336, 372),
    408: (159,),
    413: (223,),
    501: (48,),
    503: (76, 202, 209),
}
STATUS_OF_CODE = {code: status for status, codes in STATUSES.items() for code in codes}


class EngineError(Exception):
    """`message` begins with "Code: N." as clients expect."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        found = CODE.search(message)
        self.code = int(found[1]) if found else UNKNOWN_EXCEPTION
        self.message = message[found.start() :] if found else _coded(UNKNOWN_EXCEPTION, "UNKNOWN_EXCEPTION", message)
        self.status = status or STATUS_OF_CODE.get(self.code, 500)

    @classmethod
    def of(cls, code: int, name: str, text: str, status: int | None = None) -> Self:
        """`status` overrides the status of the code."""
        return cls(_coded(code, name, text), status)


def readonly(text: str) -> EngineError:
    return EngineError.of(164, "READONLY", text)


def too_large(text: str) -> EngineError:
    return EngineError.of(223, "QUERY_IS_TOO_LARGE", text)


def undecodable_login() -> EngineError:
    """401 requests a login, because an unreadable one counts as none; 403 would refuse a login that was given."""
    text = "Authentication failed: name and password must be printable UTF-8 of at most 1024 characters"
    return EngineError.of(516, "AUTHENTICATION_FAILED", text, status=401)


def denied(what: str) -> EngineError:
    text = f"reader: Not enough privileges. Readers may not use {what}"
    return EngineError.of(497, "ACCESS_DENIED", text)


def too_many(what: str, most: int) -> EngineError:
    return EngineError.of(202, "TOO_MANY_SIMULTANEOUS_QUERIES", f"Too many {what}. Maximum: {most}")


def syntax_error(text: str) -> EngineError:
    return EngineError.of(62, "SYNTAX_ERROR", text)


def _coded(code: int, name: str, text: str) -> str:
    return f"Code: {code}. DB::Exception: {text}. ({name})"
