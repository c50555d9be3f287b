"""What is kept of a single value, by what it is for: of a time only a time, of an address only an address. Text in its
place that does not fit is replaced, never kept."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from services.ingest.domain.pseudonym import Pseudonym
from services.ingest.domain.written import visible

CUT = "cut"
"""Stands where text was that does not fit: no time, no number, no word that any tool means something by."""
# A number of more digits is text to us: no tool counts so far.
MOST_DIGITS = 30
LARGEST = 10**MOST_DIGITS
# `Name <address>`; what is longer is no address.
LONGEST_MAILBOX = 1_000

_WORD = re.compile(r"[A-Za-z0-9._:/#\-]{1,64}")
_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?", re.ASCII)
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)? ?([Zz]|[+-]\d\d(:?\d\d)?)?)?|[+-]?\d{1,20}(\.\d{1,20})?",
    re.ASCII,
)
# No quoted local part: it may hold a sentence.
_ADDRESS = re.compile(r"[\w.!#$&'*+/=?^`{|}~%-]{1,64}@[\w-]{1,63}(\.[\w-]{1,63}){0,16}\.?")
_BETWEEN = re.compile(r"[|;,\n]+")
_SCHEME = re.compile(r"^mailto:", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"<([^<>]+)>\s*$")


@dataclass(frozen=True)
class Leaf:
    """`of_text` says what is kept of text, `others` which other types of JSON are kept. As a note in Annotated it
    says what of a field is kept."""

    name: str
    of_text: Callable[[str, Pseudonym], str]
    others: frozenset[type] = frozenset()

    def kept(self, value: object, pseudonym: Pseudonym) -> object:
        if isinstance(value, str):
            return self.of_text(value, pseudonym) if value else value
        if type(value) not in self.others:
            return type(value)()
        is_huge = isinstance(value, int) and abs(value) >= LARGEST
        return self.of_text(str(value), pseudonym) if is_huge else value


def matching(pattern: re.Pattern[str]) -> Callable[[str, Pseudonym], str]:
    """All of a text that fits the pattern, nothing of any other."""
    return lambda text, _: text if pattern.fullmatch(text) else CUT


def is_word(text: str) -> bool:
    return _WORD.fullmatch(text) is not None


def address_in(text: str) -> str:
    """The address of `ada@example.com`, `Ada <ada@example.com>`, `<ada@example.com>` or `MAILTO:ada@example.com`,
    without characters that nobody sees; empty if there is none."""
    if len(text) > LONGEST_MAILBOX:
        return ""
    seen = visible(text)
    bracketed = _IN_BRACKETS.search(seen)
    address = _SCHEME.sub("", (bracketed[1] if bracketed else seen).strip())
    return address if _ADDRESS.fullmatch(address) else ""


def mailboxes(text: str) -> list[str]:
    """The addresses of a text that holds several, between |, comma, semicolon or line breaks with names before them, or
    between blanks without. What is no address stays as it is."""
    found: list[str] = []
    for part in _BETWEEN.split(text):
        address = address_in(part)
        found += [address] if address else [address_in(one) or one for one in part.split()]
    return found


def one_of(*values: object) -> Leaf:
    """A word that is compared with these: of any other word only that it is another."""
    words = frozenset(one for one in values if isinstance(one, str))
    others = frozenset(type(one) for one in values if not isinstance(one, str))
    return Leaf(f"one of {sorted(map(str, values))}", _OneOf(words), others)


@dataclass(frozen=True)
class _OneOf:
    """Equal where the words are: two models may read the same field."""

    words: frozenset[str]

    def __call__(self, text: str, _: Pseudonym) -> str:
        return text if text in self.words else CUT


def _addresses(text: str, _: Pseudonym) -> str:
    return ";".join(filter(None, map(address_in, re.split("[;,]", text))))


def _id(text: str, pseudonym: Pseudonym) -> str:
    return pseudonym(text)


def _person_id(text: str, pseudonym: Pseudonym) -> str:
    return address_in(text) or pseudonym(text.strip()) if text.strip() else ""


NUMBERS: frozenset[type] = frozenset({int, float, bool})
TIME = Leaf("a time", matching(_TIME), NUMBERS)
NUMBER = Leaf("a number", matching(_NUMBER), NUMBERS)
FLAG = Leaf("true or false", matching(re.compile("true|false", re.IGNORECASE)), NUMBERS)
WORD = Leaf("a word", matching(_WORD))
ADDRESS = Leaf("an address", lambda text, _: address_in(text))
ADDRESSES = Leaf("addresses, separated by `;` or `,`", _addresses)
ID = Leaf("an id, or its digest where it may be text", _id, frozenset({int}))
PERSON_ID = Leaf("an address, an id, or its digest where it may be text", _person_id, frozenset({int}))
