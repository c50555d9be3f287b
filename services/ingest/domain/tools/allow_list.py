"""Allow-lists: reduce each value of a payload to its purpose, a time to a time, an address to an address. Text that
does not fit is replaced, never stored."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import cache, reduce
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin
from urllib.parse import unquote

from pydantic import AliasChoices, AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

from services.ingest.domain.ids import Pseudonym, is_plain

CUT = "cut"
"""Replaces text that does not fit: no time, no number, and no word that any tool uses."""
# A number with more digits is treated as text: no tool counts that far.
MAX_DIGITS = 30
LARGEST = 10**MAX_DIGITS
# `Name <address>`; anything longer is no address.
LONGEST_MAILBOX = 1_000

_WORD = re.compile(r"[A-Za-z0-9._:/#\-]{1,64}")
_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?", re.ASCII)
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)? ?([Zz]|[+-]\d\d(:?\d\d)?)?)?|[+-]?\d{1,20}(\.\d{1,20})?",
    re.ASCII,
)
# No quoted local part: it may contain a sentence.
_ADDRESS = re.compile(r"[\w.!#$&'*+/=?^`{|}~%-]{1,64}@[\w-]{1,63}(\.[\w-]{1,63}){0,16}\.?")
_BETWEEN = re.compile(r"[|;,\n]+")
# Separators of two addresses only with blanks around them; without blanks they may be part of an address.
_BESIDE = frozenset({"/", "&", "+"})
# Exchange lists addresses as `SMTP:ada@example.com`.
_EXCHANGE = re.compile(r"^smtp:", re.IGNORECASE)
# A mailto link, whose address may be percent-encoded, followed by other fields of a message.
_LINK = re.compile(r"^mailto:([^?]*)", re.IGNORECASE)
# `ada@example.com (Ada)`, an old mail format, and `'ada@example.com'`.
_REMARK = re.compile(r"\s*\([^()]*\)$")
_QUOTED = re.compile(r"(['\"])(.+)\1")
# In `Example, Ada <ada@example.com>` the comma is a part of the name, as directories write names.
_LAST_NAME = re.compile(r"(?<![^|;,\n])[^|;,\n<>@]{1,200},(?=[^|;,\n<>@]{1,200}<[^<>]{1,400}>)")
_IN_BRACKETS = re.compile(r"<([^<>]+)>\s*$")


@dataclass(frozen=True)
class Leaf:
    """`of_text` reduces text; `others` are the other JSON types that are kept. In an Annotated type it defines what is
    kept of the field."""

    name: str
    of_text: Callable[[str, Pseudonym], str]
    others: frozenset[type] = frozenset()

    def redact(self, value: object, pseudonym: Pseudonym) -> object:
        if isinstance(value, str):
            return self.of_text(value, pseudonym) if value else value
        if type(value) not in self.others:
            return type(value)()
        is_huge = isinstance(value, int) and abs(value) >= LARGEST
        return self.of_text(str(value), pseudonym) if is_huge else value


def matching(pattern: re.Pattern[str]) -> Callable[[str, Pseudonym], str]:
    """Keep a text that matches the pattern entirely; replace any other."""
    return lambda text, _: text if pattern.fullmatch(text) else CUT


def is_word(text: str) -> bool:
    return _WORD.fullmatch(text) is not None


def address_in(text: str) -> str:
    """Return the address of `ada@example.com`, `Ada <ada@example.com>`, `<ada@example.com>`, `ada@example.com (Ada)` or
    `MAILTO:ada@example.com?subject=x`, without invisible characters; "" if there is none."""
    if len(text) > LONGEST_MAILBOX:
        return ""
    plain = visible(text)
    bracketed = _IN_BRACKETS.search(plain)
    inner = _EXCHANGE.sub("", (bracketed[1] if bracketed else _REMARK.sub("", plain)).strip())
    quoted = _QUOTED.fullmatch(inner)
    # A single leading quote is Excel's mark of a text.
    inner = quoted[2] if quoted else inner.removeprefix("'")
    link = _LINK.match(inner)
    address = (unquote(link[1]) if link else inner).rstrip(".")
    return address if _ADDRESS.fullmatch(address) else ""


def mailboxes(text: str) -> list[str]:
    """Split a text with several addresses: at |, comma, semicolon or line breaks if they have names, otherwise also at
    blanks. What is no address stays unchanged."""
    found: list[str] = []
    for part in _BETWEEN.split(_LAST_NAME.sub("", text)):
        address = address_in(part)
        found += [address] if address else [address_in(one) or one for one in part.split() if one not in _BESIDE]
    return found


def one_of(*values: object) -> Leaf:
    """Keep one of these words; replace any other."""
    words = frozenset(one for one in values if isinstance(one, str))
    others = frozenset(type(one) for one in values if not isinstance(one, str))
    return Leaf(f"one of {sorted(map(str, values))}", _OneOf(words), others)


def in_any_case(*words: str) -> Leaf:
    """Like `one_of`, ignoring case; a word is kept as it is written here."""
    listed = {word.casefold(): word for word in words}
    return Leaf(f"one of {sorted(words)}, in any case", lambda text, _: listed.get(text.strip().casefold(), CUT))


@dataclass(frozen=True)
class _OneOf:
    """Comparable by its words: two models may read the same field."""

    words: frozenset[str]

    def __call__(self, text: str, _: Pseudonym) -> str:
        return text if text in self.words else CUT


NUMBERS: frozenset[type] = frozenset({int, float, bool})
TIME = Leaf("a time", matching(_TIME), NUMBERS)
NUMBER = Leaf("a number", matching(_NUMBER), NUMBERS)
FLAG = Leaf("true or false", matching(re.compile("true|false", re.IGNORECASE)), NUMBERS)
WORD = Leaf("a word", matching(_WORD))
ADDRESS = Leaf("an address", lambda text, _: address_in(text))
ADDRESSES = Leaf(
    "addresses, separated by `;` or `,`",
    lambda text, _: ";".join(filter(None, map(address_in, re.split("[;,]", text)))),
)
# A plain id is its own pseudonym: nearly all are, and need no call.
ID = Leaf(
    "an id, or its digest where it may be text",
    lambda text, pseudonym: text if is_plain(text) else pseudonym(text),
    frozenset({int}),
)
PERSON_ID = Leaf(
    "an address, an id, or its digest where it may be text",
    lambda text, pseudonym: address_in(text) or pseudonym(text.strip()) if text.strip() else "",
    frozenset({int}),
)


@dataclass(frozen=True)
class AllowList:
    """What one location of a payload may contain: a value of `leaf`, an object of `members` (or of any number of
    `entries` with word-like names), a list of `items`; several of these if models differ. Nothing else is kept."""

    leaf: Leaf | None = None
    members: Mapping[str, "AllowList"] = field(default_factory=dict)
    entries: "AllowList | None" = None
    items: "AllowList | None" = None

    def redact(self, value: object, pseudonym: Pseudonym) -> object:
        """Return a redacted copy. A value that does not fit becomes an empty one of its own JSON type, so that the
        translator reports the same fault; null stays null. Idempotent."""
        if value is None:
            return None
        if isinstance(value, dict):
            return dict(self._redacted_members(value, pseudonym))
        if isinstance(value, list):
            return [self.items.redact(one, pseudonym) for one in value] if self.items else []
        return self.leaf.redact(value, pseudonym) if self.leaf else type(value)()

    def union(self, other: "AllowList") -> "AllowList":
        """Return the union of both lists. Raises TypeError if they have different leaves at the same location."""
        if self.leaf and other.leaf and self.leaf != other.leaf:
            raise TypeError(f"is {self.leaf.name} to one model and {other.leaf.name} to another")
        return AllowList(
            self.leaf or other.leaf,
            {
                name: _either(self.members.get(name), other.members.get(name))
                for name in {**self.members, **other.members}
            },
            _either(self.entries, other.entries) if self.entries or other.entries else None,
            _either(self.items, other.items) if self.items or other.items else None,
        )

    def with_members(self, **members: "AllowList") -> "AllowList":
        """Replace these members."""
        return replace(self, members={**self.members, **members})

    def _redacted_members(self, value: Mapping[str, object], pseudonym: Pseudonym) -> Iterator[tuple[str, object]]:
        # Iterate over the list, not the payload: extra members of the payload cost nothing.
        for name, member in self.members.items():
            if name in value:
                yield name, member.redact(value[name], pseudonym)
        if self.entries:
            for name in value.keys() - self.members.keys():
                if is_word(name):
                    yield name, self.entries.redact(value[name], pseudonym)


@cache
def allow_list(*models: type[BaseModel]) -> AllowList:
    """Build the allow-list of a payload that is read with these models, each of which sees all of it. Raises TypeError
    for a field that does not define what is kept of its value."""
    return reduce(AllowList.union, map(_of_model, models))


def cut_paths(value: object, kept: object) -> Iterator[str]:
    """Yield the paths that were redacted, each once; `*` stands for any item of a list."""
    yield from dict.fromkeys(".".join(steps) for steps in _cut(value, kept))


def _cut(value: object, kept: object) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict) and isinstance(kept, dict):
        for name, inner in value.items():
            found = _cut(inner, kept[name]) if name in kept else iter([()])
            yield from ((name, *steps) for steps in found)
    elif isinstance(value, list) and isinstance(kept, list) and len(value) == len(kept):
        for inner, remains in zip(value, kept, strict=True):
            yield from (("*", *steps) for steps in _cut(inner, remains))
    elif value != kept:
        yield ()


def _either(one: AllowList | None, other: AllowList | None) -> AllowList:
    return one.union(other) if one and other else one or other or AllowList()


def _of_model(model: type[BaseModel]) -> AllowList:
    members: dict[str, AllowList] = {}
    for name, found in model.model_fields.items():
        try:
            allowed = _of_type(found.annotation, tuple(found.metadata))
        except TypeError as unclear:
            raise TypeError(f"{model.__module__}.{model.__name__}.{name} {unclear}") from unclear
        members |= dict.fromkeys(_names(name, found), allowed)
    return AllowList(members=members)


def _names(name: str, found: FieldInfo) -> tuple[str, ...]:
    """The field's names in the payload."""
    match found.validation_alias or found.alias:
        case None:
            return (name,)
        case str() as alias:
            return (alias,)
        case AliasChoices(choices=choices) if all(isinstance(one, str) for one in choices):
            return tuple(str(one) for one in choices)
        case other:
            raise TypeError(f"is read from {other}, which no allow-list follows")


def _of_type(kind: object, notes: tuple[object, ...] = ()) -> AllowList:
    """A leaf or list in Annotated overrides the type; the outermost wins."""
    for note in reversed(notes):
        if isinstance(note, Leaf):
            return AllowList(leaf=note)
        if isinstance(note, AllowList):
            return note
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _of_type(arguments[0], arguments[1:])
    if origin in {Union, UnionType}:
        return reduce(AllowList.union, (_of_type(one) for one in arguments if one is not NoneType))
    if origin is Literal:
        return AllowList(leaf=one_of(*arguments))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return AllowList(entries=_of_type(arguments[1]))
    if isinstance(origin, type):
        return AllowList(items=reduce(AllowList.union, (_of_type(one) for one in arguments if one is not Ellipsis)))
    return _of_class(kind)


def _of_class(kind: object) -> AllowList:
    if isinstance(kind, type):
        if issubclass(kind, BaseModel):
            return _of_model(kind)
        if issubclass(kind, Enum):
            return AllowList(leaf=one_of(*(one.value for one in kind)))
        if issubclass(kind, bool):
            return AllowList(leaf=FLAG)
        if issubclass(kind, int | float | Decimal):
            return AllowList(leaf=NUMBER)
        # pydantic reads it as a datetime, and does not derive it from one.
        if issubclass(kind, date | AwareDatetime):
            return AllowList(leaf=TIME)
    raise TypeError("does not say what of it is kept: give its type a leaf of services.ingest.domain.tools.allow_list")


# Unicode category of format characters: zero-width blanks and joiners, marks of direction and of byte order.
FORMAT_CATEGORY = "Cf"


def clean_text(text: str) -> str:
    """Normalise to NFC and strip blanks and format characters."""
    # Nearly all text is ASCII, which needs no normalisation and contains no format characters.
    if text.isascii():
        return text.strip()
    found = unicodedata.normalize("NFC", text)
    while found and (_is_invisible(found[0]) or _is_invisible(found[-1])):
        found = found.strip("".join(filter(_is_invisible, {found[0], found[-1]})))
    return found


def visible(text: str) -> str:
    """Remove all format characters: they have no meaning in ids, addresses and words that are compared."""
    if text.isascii():
        return text.strip()
    return "".join(letter for letter in clean_text(text) if unicodedata.category(letter) != FORMAT_CATEGORY)


def _is_invisible(letter: str) -> bool:
    return letter.isspace() or unicodedata.category(letter) == FORMAT_CATEGORY
