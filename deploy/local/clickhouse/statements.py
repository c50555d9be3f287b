"""Lexical analysis of a statement before it reaches the engine."""

import re
from dataclasses import dataclass
from itertools import islice, pairwise

from deploy.local.clickhouse.tokens import Kind, SqlToken, tokens

# A format name is at the end: of a very long statement only this much is scanned.
LONGEST_SCANNED, SCANNED_TAIL = 1 << 20, 4096
LINE_END = re.compile(rb"[ \t\f]*\r?\n?")


@dataclass(frozen=True)
class Insert:
    """An INSERT whose rows follow the statement, from `rows_at` on; `settings_at` is where SETTINGS begins."""

    statement: bytes
    format: str
    rows_at: int
    settings_at: int

    def from_file(self, path: str) -> bytes:
        infile = f" FROM INFILE '{path}' COMPRESSION 'none' ".encode()
        head, settings = self.statement[: self.settings_at], self.statement[self.settings_at :]
        return head + infile + settings + f" FORMAT {self.format}".encode()


def changes_only_session(sql: bytes) -> bool:
    """SET and USE, which even a reader may use; not SET ROLE and SET DEFAULT ROLE."""
    match _leading_words(sql):
        case [b"SET", b"ROLE", *_] | [b"SET", b"DEFAULT", b"ROLE", *_]:
            return False
        case [b"SET" | b"USE", *_]:
            return True
    return False


def needs_session(sql: bytes) -> bool:
    """True for statements that affect the next request of the same session."""
    words = _leading_words(sql)
    if words[:1] in ([b"CREATE"], [b"DROP"]):
        return b"TEMPORARY" in words
    return words[:1] in ([b"SET"], [b"USE"])


def parse_insert(sql: bytes) -> Insert | None:
    """Return None for everything but an INSERT with its own rows: INSERT ... SELECT is an ordinary statement."""
    top = [token for token in _until_rows(sql) if token.depth == 0]
    start = next((n for n, token in enumerate(top) if token.is_word(b"INSERT")), None)
    if start is None or not top[0].is_word(b"INSERT", b"WITH"):
        return None
    if any(token.is_word(b"SELECT", b"INFILE") or token.text == b";" for token in top) or not _has_rows(top):
        return None
    # Expressions before the INSERT (WITH ... INSERT INTO t FORMAT ...) are unused: they are dropped.
    begin, last = top[start].start, top[-1]
    named = top[-2].is_word(b"FORMAT")
    statement = sql[begin : top[-2].start if named else last.start]
    settings = next((token.start - begin for token in top[start:] if token.is_word(b"SETTINGS")), len(statement))
    # Rows begin after blanks and at most one line end: a further one belongs to the rows.
    blanks = LINE_END.match(sql, last.end) if named else None
    rows_at = blanks.end() if blanks else last.end
    return Insert(statement, last.text.decode() if named else "Values", rows_at, settings)


def output_format(sql: bytes) -> str | None:
    """Return the name after the last FORMAT outside of brackets."""
    scanned = sql if len(sql) <= LONGEST_SCANNED else sql[-SCANNED_TAIL:]
    top = [token for token in tokens(scanned) if token.depth == 0]
    named = [after for before, after in pairwise(top) if before.is_word(b"FORMAT")]
    return named[-1].text.decode() if named and named[-1].kind is Kind.WORD else None


def accesses_files(sql: bytes) -> bool:
    """INTO OUTFILE and FROM INFILE are client features; in the server's process they would access its files."""
    return any(token.is_word(b"OUTFILE", b"INFILE") for token in tokens(sql))


def _leading_words(sql: bytes) -> list[bytes]:
    """Return at most four words: CREATE OR REPLACE TEMPORARY."""
    return [token.text.upper() for token in islice(tokens(sql), 4) if token.kind is Kind.WORD]


def _until_rows(sql: bytes) -> list[SqlToken]:
    """Return the tokens up to VALUES or FORMAT and its name: what follows may be binary."""
    found: list[SqlToken] = []
    for token in tokens(sql):
        found.append(token)
        if token.depth == 0 and _has_rows(found):
            break
    return found


def _has_rows(found: list[SqlToken]) -> bool:
    if found[-1].is_word(b"VALUES"):
        return True
    return len(found) > 1 and found[-2].is_word(b"FORMAT") and found[-1].kind in {Kind.WORD, Kind.NUMBER}
