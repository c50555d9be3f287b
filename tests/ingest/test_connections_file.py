"""The connections file: how it is parsed, and that all of its faults are reported at once."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from services.ingest.__main__ import main
from services.ingest.sources.connections import ConnectionsError, describe_connections, load_connections
from services.ingest.sources.registry import TOOLS
from services.ingest.sources.slack import SlackSettings

KEY = "a digest key of this test"
ENVIRON = {"ZOOM_SECRET": "a zoom secret", "OTHER_SECRET": "another secret"}


def connection(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    entry = {"id": "zoom_europe", "tool": "zoom", "tenant": "acme", "secret_env": "ZOOM_SECRET"} | changes
    return {name: value for name, value in entry.items() if value is not None}


def file_of(folder: Path, *connections: object) -> Path:
    file = folder / "connections.yaml"
    file.write_text(yaml.safe_dump({"connections": list(connections)}))
    return file


def faults(file: Path) -> list[str]:
    with pytest.raises(ConnectionsError) as refused:
        load_connections(file, ENVIRON, KEY)
    return [line.removeprefix(f"{file}: ") for line in str(refused.value).splitlines()]


def test_a_connection_is_bound_to_its_tenant_and_programme(tmp_path: Path) -> None:
    found = load_connections(file_of(tmp_path, connection(program="leaders")), ENVIRON, KEY)

    one = found["zoom_europe"]
    assert (one.connection_scope.tenant, one.connection_scope.program, one.tool) == ("acme", "leaders", TOOLS["zoom"])
    assert one.connection_scope.source == "urn:rapport:acme:zoom:zoom_europe"
    assert (one.secret, one.api_token, one.api_token_file) == ("a zoom secret", "", None)


def test_secrets_and_tokens_may_lie_in_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret in a file\n")
    (tmp_path / "token").write_text("a token in a file\n")
    given = connection(tool="google_calendar", secret_env=None, secret_file="secret", api_token_file="token")

    one = load_connections(file_of(tmp_path, given), ENVIRON, KEY)["zoom_europe"]

    assert (one.secret, one.api_token) == ("a secret in a file", "a token in a file")
    assert one.api_token_file == tmp_path / "token"


def test_settings_are_those_of_the_tool(tmp_path: Path) -> None:
    given = connection(tool="slack", settings={"channels": {"C1": {"relationship": "rel-1"}}})

    settings = load_connections(file_of(tmp_path, given), ENVIRON, KEY)["zoom_europe"].settings

    assert isinstance(settings, SlackSettings)
    assert settings.channels["C1"].relationship == "rel-1"


FAULTY: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown tool": (connection(tool="tea"), "connections.0.tool: there is no tool 'tea'; there are"),
    "an unknown name": (connection(tenent="acme"), "connections.0.tenent: is not known here"),
    "no tenant": (connection(tenant=None), "connections.0.tenant: is required"),
    "an id that is no part of a URL": (connection(id="Zoom/Europe"), "connections.0.id: "),
    "no secret": (connection(secret_env=None), "connections.0.secret: name either a variable"),
    "two secrets": (connection(secret_file="x"), "connections.0.secret: name either a variable"),
    "a secret that is not set": (
        connection(secret_env="NOBODY"),
        "connections.0.secret: the environment has no NOBODY",
    ),
    "a missing file": (
        connection(secret_env=None, secret_file="gone"),
        "connections.0.secret: gone cannot be read: No such file",
    ),
    "settings of another tool": (
        connection(settings={"channels": {}}),
        "connections.0.settings.channels: is not known here",
    ),
    "faulty settings": (
        connection(tool="slack", settings={"channels": {"C1": {}}}),
        "connections.0.settings.channels.C1: needs either relationship or people",
    ),
}


@pytest.mark.parametrize(("given", "words"), FAULTY.values(), ids=FAULTY.keys())
def test_a_fault_names_its_place_and_its_reason(tmp_path: Path, given: dict[str, Any], words: str) -> None:
    (fault,) = faults(file_of(tmp_path, given))

    assert fault.startswith(words)


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    file = file_of(tmp_path, connection(tool="tea", secret_env="NOBODY"), connection(id="two", tenant="a/b"))

    told = faults(file)

    assert [fault.partition(":")[0] for fault in told] == [
        "connections.0.tool",
        "connections.0.secret",
        "connections.1.tenant",
    ]


def test_two_connections_share_neither_their_id_nor_their_secret(tmp_path: Path) -> None:
    same_id = connection(tool="slack", secret_env="OTHER_SECRET")
    same_secret = connection(id="zoom_asia", tenant="globex")

    told = faults(file_of(tmp_path, connection(), same_id, same_secret))

    assert told == [
        "connections.1.id: there is a connection 'zoom_europe' above",
        "connections.2.secret: is that of connection 'zoom_europe': each needs a secret of its own",
    ]


def test_a_guessable_secret_is_refused_and_never_printed(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("hush")

    (told,) = faults(file_of(tmp_path, connection(secret_env=None, secret_file="short")))

    assert told == "connections.0.secret: has less than 8 characters"


@pytest.mark.parametrize(
    "text", ["", "connections: 7", "connections:\n- 7", "a: [", "{}\n---\n{}", "connections: []\nx: 1"]
)
def test_what_is_no_file_of_connections_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "connections.yaml"
    file.write_text(text)

    assert faults(file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "No such file" in faults(tmp_path / "gone.yaml")[0]


def test_the_list_of_connections_holds_no_secret(tmp_path: Path) -> None:
    found = load_connections(file_of(tmp_path, connection(api_token_env="OTHER_SECRET")), ENVIRON, KEY)

    assert list(describe_connections(found)) == [
        "zoom/zoom_europe: tenant acme, every programme, secret set, API token set"
    ]


def test_check_lists_the_connections_or_reports_their_faults(tmp_path: Path) -> None:
    file = file_of(tmp_path, connection())
    environ = {"RAPPORT_INGEST_CONNECTIONS": str(file), "RAPPORT_INGEST_DIGEST_KEY": KEY}

    right = CliRunner().invoke(main, ["serve", "--check"], env=environ | ENVIRON)
    wrong = CliRunner().invoke(main, ["serve", "--check"], env=environ)

    assert (right.exit_code, wrong.exit_code) == (0, 2)
    assert "zoom/zoom_europe: tenant acme" in right.output
    assert "a zoom secret" not in right.output
    assert "connections.0.secret: the environment has no ZOOM_SECRET" in wrong.output


def test_connections_without_a_digest_key_are_refused_with_the_name_of_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConnectionsError, match="RAPPORT_INGEST_DIGEST_KEY"):
        load_connections(file_of(tmp_path, connection()), ENVIRON, "")


EXAMPLE = Path(__file__).parents[2] / "deploy" / "connections.example.yaml"
SOURCES = Path(__file__).parents[2] / "services" / "ingest" / "sources" / "README.md"


def test_the_example_holds_every_tool_and_is_checked_by_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = EXAMPLE.read_text()
    (tmp_path / "connections.yaml").write_text(text)
    (tmp_path / "secrets").mkdir()
    for name in re.findall(r"_file: (\S+)", text):
        (tmp_path / name).write_text("an access token")
    for name in re.findall(r"secret_env: (\S+)", text):
        monkeypatch.setenv(name, "a user:a password")
    monkeypatch.setenv("RAPPORT_INGEST_DIGEST_KEY", KEY)

    checked = CliRunner().invoke(main, ["connections", "check", str(tmp_path / "connections.yaml")])
    monkeypatch.delenv("ZOOM_EUROPE_SECRET")
    missing = CliRunner().invoke(main, ["connections", "check", str(tmp_path / "connections.yaml")])

    assert checked.exit_code == 0, checked.output
    assert {line.partition("/")[0] for line in checked.stdout.splitlines()} == set(TOOLS)
    assert (missing.exit_code, "the environment has no ZOOM_EUROPE_SECRET" in missing.output) == (1, True)


def test_every_block_of_the_page_of_tools_is_valid(tmp_path: Path) -> None:
    """Settings as they stand there make a connection of their tool."""
    first, *sections = re.split(r"^## ", SOURCES.read_text(), flags=re.MULTILINE)
    blocks = [(section, yaml.safe_load(block)) for section in sections for block in BLOCK.findall(section)]
    (whole,) = BLOCK.findall(first)
    (tmp_path / "first.yaml").write_text(whole)

    assert load_connections(tmp_path / "first.yaml", {"ZOOM_EUROPE_SECRET": "a zoom secret"}, KEY).keys() == {
        "zoom_europe"
    }
    assert len(blocks) >= 5
    for section, block in blocks:
        tool = next(name for name in TOOLS if f"(`{name}`)" in section.splitlines()[0])
        secret = {"ZOOM_SECRET": "a user:a password"}
        assert load_connections(file_of(tmp_path, connection(tool=tool, **block)), secret, KEY)


BLOCK = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
