"""The file of destinations: what it may say, and how its faults are told."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from services.notify.channels.destinations_file import load_destinations
from services.notify.channels.http_channels import ENQUEUE_URL
from services.notify.domain.destinations import (
    DestinationConfig,
    DestinationsError,
    HttpTarget,
    PagerDutyOptions,
    SmtpOptions,
    describe_config,
)
from tests.receiver import SECRET

SLACK = "https://hooks.slack.com/services/T0/B0/secret0secret"
ENVIRON = {
    "BAD": "whsec_abcde",
    "SLACK_URL": SLACK,
    "PD_KEY": "R0UT1NGKEY",
    "SMTP_PASSWORD": "correct horse",
    "HOOK": SECRET,
}
GOOD = """
destinations:
  - {name: team, channel: smtp, host: mail.acme.example, sender: r@acme.example, to: [a@acme.example],
     username: rapport, password_env: SMTP_PASSWORD, tenant: acme, programs: [spruce], fallback: on-call}
  - {name: chat, channel: slack, url_env: SLACK_URL}
  - {name: on-call, channel: pagerduty, routing_key_env: PD_KEY, alerts: none}
  - {name: partner, channel: webhook, url: "https://hooks.acme.example/x", secret_env: HOOK}
"""


def load(tmp_path: Path, text: str) -> list[str]:
    return list(describe_config(load_destinations(written(tmp_path, text), ENVIRON)))


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "destinations.yaml"
    file.write_text(text)
    return file


def test_a_file_names_destinations_of_every_channel(tmp_path: Path) -> None:
    team, chat, on_call, partner = load_destinations(written(tmp_path, GOOD), ENVIRON).destinations

    assert isinstance(team.options, SmtpOptions)
    assert team.options.password == SecretStr("correct horse")
    assert (team.options.port, team.options.security) == (587, "starttls")
    assert chat.options == HttpTarget(SLACK, allow_private=False, timeout_seconds=10)
    assert on_call.options == PagerDutyOptions(HttpTarget(ENQUEUE_URL, False, 10), SecretStr("R0UT1NGKEY"))  # noqa: FBT003
    assert not on_call.gets_alerts
    assert team.accepts("acme", "spruce")
    assert not team.accepts("acme", "oak")
    assert partner.accepts("other", "oak")


def test_the_list_has_neither_addresses_nor_secrets(tmp_path: Path) -> None:
    text = "\n".join(load(tmp_path, GOOD))

    assert "team: smtp, gets alerts, tenant acme, spruce, falls back to on-call" in text
    for hidden in (*ENVIRON.values(), "@", "hooks."):
        assert hidden not in text


def test_a_secret_may_lie_in_a_file_beside(tmp_path: Path) -> None:
    (tmp_path / "chat-url").write_text(f"{SLACK}\n")

    (chat,) = load_destinations(
        written(tmp_path, "destinations: [{name: chat, channel: teams, url_file: chat-url}]"), ENVIRON
    ).destinations

    assert chat.options == HttpTarget(SLACK, allow_private=False, timeout_seconds=10)


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("{name: a, channel: fax}", "destinations.0.: Input tag 'fax'"),
        ("{name: a, channel: slack}", "name either a variable of the environment (_env) or a file (_file)"),
        ("{name: a, channel: slack, url: 'https://hooks.slack.com/x'}", "slack.url: Extra inputs are not permitted"),
        ("{name: a, channel: slack, url_env: ABSENT}", "the environment has no ABSENT"),
        ("{name: a, channel: teams, url_env: PD_KEY}", "url: must be an http or https address"),
        ("{name: A B, channel: slack, url_env: SLACK_URL}", "name: String should match pattern"),
        ("{name: a, channel: webhook, url: 'http://10.0.0.1/', secret_env: HOOK}", "is a private address"),
        ("{name: a, channel: webhook, url: 'https://a.example/', secret_env: PD_KEY}", "must be whsec_"),
        ("{name: a, channel: slack, url_env: SLACK_URL, fallback: b}", "there is no other destination 'b'"),
        ("{name: a, channel: slack, url_env: SLACK_URL, fallback: a}", "there is no other destination 'a'"),
        ("{name: a, channel: smtp, host: m, sender: a@b.example, to: []}", "to: Tuple should have at least 1 item"),
        ("{name: a, channel: smtp, host: m, sender: ä@b.example, to: [a@b.example]}", "must be ASCII"),
        (
            "{name: a, channel: smtp, host: m, sender: a@b, to: [a@b],security: none, username: u, password_env: HOOK}",
            "a password is sent over TLS only",
        ),
        (
            "{name: a, channel: smtp, host: m, sender: a@b, to: [a@b], cafile: destinations.yaml}",
            "cafile: Path does not point to a file",
        ),
        (
            "{name: a, channel: smtp, host: m, sender: a@b, to: [a@b], cafile: /etc/passwd}",
            "cafile: holds no certificates",
        ),
        ("{name: a, channel: webhook, url: 'https://a.example/', secret_env: BAD}", "must be whsec_"),
        (
            "{name: a, channel: slack, url_env: SLACK_URL}, {name: a, channel: slack, url_env: SLACK_URL}",
            "a: there are 2 destinations of this name",
        ),
    ],
)
def test_a_fault_is_reported_with_its_place_and_without_the_secret(tmp_path: Path, entry: str, fault: str) -> None:
    with pytest.raises(DestinationsError) as refused:
        load(tmp_path, f"destinations: [{entry}]")

    assert fault in str(refused.value)
    assert not any(secret in str(refused.value) for secret in ENVIRON.values())


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(DestinationsError) as refused:
        load(tmp_path, "destinations: [{name: a, channel: slack}, {name: b, channel: pagerduty}]")

    assert len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("destinations: [", "while parsing"),
        ("a: 1\n---\nb: 2", "holds 2 documents instead of one"),
        ("destinations: 7", "destinations: Input should be a valid list"),
        ("destinations: []\ndestinations: []", "appears twice"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(DestinationsError) as refused:
        load(tmp_path, text)

    assert fault in str(refused.value)


def test_a_file_that_is_away_or_immense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DestinationsError, match="No such file"):
        load_destinations(tmp_path / "none.yaml", {})
    with pytest.raises(DestinationsError, match="has more than"):
        load(tmp_path, "#" * (4 * 2**20 + 1))


def test_a_fallback_may_be_a_destination_of_the_settings(tmp_path: Path) -> None:
    target = HttpTarget("https://hooks.acme.example/a", allow_private=False, timeout_seconds=10)
    own = DestinationConfig("webhook", "webhook", target)
    text = "destinations: [{name: chat, channel: slack, url_env: SLACK_URL, fallback: webhook}]"

    found = load_destinations(written(tmp_path, text), ENVIRON, [own])

    assert [one.fallback for one in found.destinations] == [None, "webhook"]
