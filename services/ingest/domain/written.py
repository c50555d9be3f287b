"""Text as systems really send it: letters in several spellings, and characters that nobody sees around them."""

import re
import unicodedata

# Of characters that only arrange others: zero-width blanks and joiners, marks of direction and of byte order.
UNSEEN = "Cf"
NO_DAYS = frozenset({"null", "none", "nil", "n/a", "na", "nan", "nat", "-", "--"})
ZEROS = re.compile(r"0{1,8}([-./]0{1,4}){0,2}([T ][0-9:.]{0,20}[Zz]?)?", re.ASCII)


def composed(text: str) -> str:
    """The same letters spelt in the same way (NFC), without blanks and unseen characters around them."""
    found = unicodedata.normalize("NFC", text)
    while found and (_is_unseen(found[0]) or _is_unseen(found[-1])):
        found = found.strip("".join(filter(_is_unseen, {found[0], found[-1]})))
    return found


def visible(text: str) -> str:
    """Without any unseen character: for ids, addresses and words that are compared, in which none has a meaning."""
    # Nearly all text is ASCII, in which there are none.
    if text.isascii():
        return text.strip()
    return "".join(letter for letter in composed(text) if unicodedata.category(letter) != UNSEEN)


def is_no_day(text: str) -> bool:
    """`0000-00-00`, `00.00.0000 00:00:00`, `NULL`: how systems write that there is no day."""
    return text.lower() in NO_DAYS or ZEROS.fullmatch(text) is not None


def _is_unseen(letter: str) -> bool:
    return letter.isspace() or unicodedata.category(letter) == UNSEEN
