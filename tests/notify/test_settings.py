"""Which settings are refused, and with which words."""

import pytest
from pydantic import SecretStr

from services.notify.channels.addresses import PrivateAddressError, is_public, resolve
from services.notify.domain.destinations import HttpTarget, WebhookOptions
from services.notify.settings import LOG, NotifySettings
from services.runtime.settings import SettingsError, load

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PREFIX = "RAPPORT_NOTIFY_"


def settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> NotifySettings:
    environ = {f"{PREFIX}{name}": value for name, value in variables.items()}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return load(NotifySettings, "notify", environ)


def test_without_settings_only_the_log_channel_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(monkeypatch).destinations() == [LOG]


def test_a_webhook_has_an_address_and_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    _, webhook = settings(monkeypatch, WEBHOOK_URL="https://example.org/hook", WEBHOOK_SECRET=SECRET).destinations()

    assert (webhook.name, webhook.channel) == ("webhook", "webhook")
    assert webhook.options == WebhookOptions(
        HttpTarget("https://example.org/hook", allow_private=False, timeout_seconds=10), SecretStr(SECRET)
    )


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"WEBHOOK_URL": "https://example.org"}, "needs RAPPORT_NOTIFY_WEBHOOK_SECRET"),
        ({"WEBHOOK_URL": "ftp://example.org", "WEBHOOK_SECRET": SECRET}, "must be an http or https address"),
        ({"WEBHOOK_URL": "https://a:b@example.org", "WEBHOOK_SECRET": SECRET}, "must not contain a user"),
        ({"WEBHOOK_URL": "http://127.0.0.1:1/", "WEBHOOK_SECRET": SECRET}, "ALLOW_PRIVATE=true"),
        ({"WEBHOOK_URL": "http://[::1]/", "WEBHOOK_SECRET": SECRET}, "ALLOW_PRIVATE=true"),
        ({"WEBHOOK_URL": "http://localhost/", "WEBHOOK_SECRET": SECRET}, "ALLOW_PRIVATE=true"),
        ({"WEBHOOK_SECRET": "whsec_c2hvcnQ="}, "at least 24 random bytes"),
        ({"WEBHOOK_SECRET": "secret"}, "must be whsec_"),
        ({"WEBHOOK_SECRET": "whsec_a"}, "must be whsec_"),
        ({"WEBHOOK_SECRET": "whsec_"}, "must be whsec_"),
        ({"WEBHOOK_SECRET": "whsec_!!!"}, "must be whsec_"),
        ({"LINK": "https://example.org/{person}"}, "can be filled in"),
        ({"LINK": "https://example.org/{tenant.__class__}"}, "can be filled in"),
        ({"LINK": "https://example.org/{tenant!r:>9}"}, "can be filled in"),
        ({"LINK": "https://example.org/{0}"}, "can be filled in"),
        ({"LINK": "javascript:alert(1)"}, "must be an http or https address"),
        ({"LINK": "board.acme.example/{relationship}"}, "must be an http or https address"),
        ({"LINK": "https://example.org/\r\nBcc: all"}, "is no address"),
        ({"BOARD_KEY": " " * 20}, "at least 16 characters"),
        ({"BOARD_GATEWAY_TOKENS": "acme=one,acme=two"}, "acme has two tokens"),
        ({"BOARD_URL": "https://board.acme.example"}, "needs RAPPORT_NOTIFY_BOARD_KEY"),
        ({"BOARD_KEY": "short", "BOARD_URL": "https://board.acme.example"}, "at least 16 characters"),
        ({"BOARD_GATEWAY": "gateway.acme.example"}, "must be an http or https address"),
        ({"BOARD_GATEWAY_TOKENS": "rap_secret"}, "write TENANT=TOKEN"),
        ({"WEBHOK_URL": "https://example.org"}, "did you mean RAPPORT_NOTIFY_WEBHOOK_URL?"),
    ],
)
def test_what_cannot_work_is_refused_with_variable_and_reason(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], reason: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(monkeypatch, **variables)

    assert reason in str(refused.value)
    assert any(f"{PREFIX}{name}" in str(refused.value) for name in variables)


def test_the_secret_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SECRET not in str(settings(monkeypatch, WEBHOOK_SECRET=SECRET))


def test_the_board_may_speak_for_several_organisations_and_shows_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch, BOARD_GATEWAY_TOKENS="acme=one=1, globex=two,", BOARD_GATEWAY="http://127.0.0.1:1")

    tokens = {tenant: token.get_secret_value() for tenant, token in found.gateway_tokens().items()}
    assert tokens == {"acme": "one=1", "globex": "two"}
    assert "two" not in str(found)
    assert found.unsubscribe_links() is None


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1",
     "0.0.0.0", "224.0.0.1", "100.64.0.1"],
)  # fmt: skip
def test_addresses_inside_are_not_public(address: str) -> None:
    assert not is_public(address)


def test_addresses_outside_are_public() -> None:
    assert is_public("93.184.215.14")
    assert is_public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")


def test_a_name_that_leads_inside_is_refused_unless_allowed() -> None:
    with pytest.raises(PrivateAddressError, match=r"localhost is .* no public address"):
        resolve("localhost", 80, allow_private=False)

    assert not is_public(resolve("localhost", 80, allow_private=True))
