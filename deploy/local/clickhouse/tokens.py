"""The tokens of a SQL text outside of strings and comments, each with its bracket depth."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    STRING = "string"
    QUOTED = "quoted"
    WORD = "word"
    NUMBER = "number"
    SIGN = "sign"


@dataclass(frozen=True)
class SqlToken:
    """`text` as written; `start` and `end` are byte offsets; `depth` counts the open brackets."""

    kind: Kind
    text: bytes
    depth: int
    start: int
    end: int

    def is_word(self, *names: bytes) -> bool:
        return self.kind is Kind.WORD and self.text.upper() in names


PATTERN = re.compile(
    rb"""(?P<skip>\s+|--[^\n]*|\#[!\ ][^\n]*|/\*.*?\*/)
    |(?P<string>'(?:[^'\\]|\\.|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<quoted>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
    |(?P<word>[A-Za-z_]\w*)
    |(?P<number>\d\w*)
    |(?P<sign>.)""",
    re.DOTALL | re.VERBOSE,
)


def tokens(sql: bytes) -> Iterator[SqlToken]:
    depth = 0
    for found in PATTERN.finditer(sql):
        kind = found.lastgroup
        assert kind is not None, "the pattern matches any byte"
        if kind == "skip":
            continue
        depth += (found.group() in b"({[") - (found.group() in b")}]")
        yield SqlToken(Kind(kind), found.group(), depth, found.start(), found.end())
