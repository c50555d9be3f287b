"""Text as systems really send it: letters in several spellings, and characters that nobody sees around them."""

import unicodedata

# Of characters that only arrange others: zero-width blanks and joiners, marks of direction and of byte order.
UNSEEN = "Cf"


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


def _is_unseen(letter: str) -> bool:
    return letter.isspace() or unicodedata.category(letter) == UNSEEN
