"""Pseudonyms: ids that may be text become digests under the key of their tenant."""

import pytest

from services.ingest.domain.ids import NoDigestKeyError, is_plain, pseudonym_of
from services.ingest.settings import IngestSettings
from services.runtime.settings import SettingsError, describe, load

KEY = "a key of sixteen characters or more"
PLAIN = ("84512", "4444AAAiAAAAAiAiAiiAii==", "urn:uuid:6f0e", "https://calendly.com/users/AAAA", "x" * 128)
MAY_BE_TEXT = {
    "blanks": "went quietly home",
    "an address": "ada@example.com",
    "an address as a URI spells it": "ada%40example.com",
    "a tab": "went\thome",
    "a line's end": "went\n",
    "a sentence without blanks": "我们明天见面吧",
    "a blank that is none of ASCII's": "went\u00a0home",
    "more than 128 characters": "x" * 129,
    "nothing": "",
    "half a character": "\ud800",
}


@pytest.mark.parametrize("text", PLAIN)
def test_a_plain_id_stays_as_it_is(text: str) -> None:
    assert pseudonym_of(KEY, "acme")(text) == text


@pytest.mark.parametrize("text", MAY_BE_TEXT.values(), ids=MAY_BE_TEXT)
def test_an_id_that_may_be_text_becomes_a_digest_that_stays_the_same(text: str) -> None:
    pseudonym = pseudonym_of(KEY, "acme")

    found = pseudonym(text)

    assert not is_plain(text)
    assert len(found) == 32
    assert found == pseudonym_of(KEY, "acme")(text)
    assert pseudonym(found) == found, "what was replaced once is not replaced again"


def test_no_other_key_tenant_or_text_gives_the_same_digest() -> None:
    text = "went quietly home"

    found = {
        pseudonym_of(KEY, "acme")(text),
        pseudonym_of(KEY, "globex")(text),
        pseudonym_of(KEY.upper(), "acme")(text),
        pseudonym_of(KEY, "acme")(text.upper()),
    }

    assert len(found) == 4


def test_without_a_key_a_plain_id_passes_and_text_is_refused_by_a_reason_that_names_the_setting() -> None:
    pseudonym = pseudonym_of("", "acme")

    assert pseudonym("84512") == "84512"
    with pytest.raises(NoDigestKeyError, match="RAPPORT_INGEST_DIGEST_KEY") as refused:
        pseudonym("went quietly home")
    assert "quietly" not in str(refused.value)


def test_a_key_that_can_be_guessed_is_refused_and_no_key_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAPPORT_INGEST_DIGEST_KEY", "fifteen letters")

    with pytest.raises(SettingsError, match=r"RAPPORT_INGEST_DIGEST_KEY: .*16 characters"):
        load(IngestSettings, "ingest")
    monkeypatch.setenv("RAPPORT_INGEST_DIGEST_KEY", KEY)
    settings = load(IngestSettings, "ingest")

    assert settings.ingest_digest_key.get_secret_value() == KEY
    assert KEY not in describe(settings)
