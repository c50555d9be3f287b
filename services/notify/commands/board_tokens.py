"""`rapport notify token create|list|revoke`: access tokens of the board."""

import secrets
from datetime import UTC, datetime, timedelta

import click
from pydantic import ValidationError

from schemas.primitives import to_rfc3339
from schemas.tokens import BoardToken, hashed, secret_of
from services.notify.board.state import BoardState
from services.notify.commands.common import columns, fail, settings_or_exit, write
from services.notify.settings import NotifySettings
from services.notify.topics import NotifyTopics
from services.runtime.kafka import OutgoingRecord, read_to_end

RANDOM_BYTES = 32
LONGEST_DAYS = 366


@click.group()
def token() -> None:
    """Manage who may see and do what on the board."""


@token.command()
@click.option("--tenant", required=True)
@click.option("--person", required=True, help="The id of the person, as the directory has it: acts carry it.")
@click.option("--role", type=click.Choice(("viewer", "coordinator", "admin")), required=True)
@click.option("--program", "programs", multiple=True, help="A programme that is theirs; again for more.")
@click.option(
    "--days", type=click.IntRange(1, LONGEST_DAYS), default=90, show_default=True, help="After which it expires."
)
@click.option("--id", "token_id", help="A name for it; default: a random one.")
def create(tenant: str, role: str, days: int, token_id: str | None, **fields: object) -> None:
    """Create a token and print its secret, once, on standard output.

    A viewer sees; a coordinator also acts, within their programmes; an admin does everything, of every programme."""
    settings, topics = settings_or_exit()
    now, name = datetime.now(UTC), token_id or f"b{secrets.token_hex(5)}"
    secret = secret_of(BoardToken, name, secrets.token_hex(RANDOM_BYTES))
    try:
        token_ = BoardToken.model_validate(
            {
                "token_id": name,
                "tenant": tenant,
                "role": role,
                "sha256": hashed(secret),
                "created": now,
                "expires": now + timedelta(days=days),
                **fields,
            }
        )
    except ValidationError as invalid:
        fail("; ".join(f"{'.'.join(map(str, e['loc'])) or role}: {e['msg']}" for e in invalid.errors()), code=2)
    if name in _read(settings, topics):
        fail(f"there is a token {name!r} already")
    _save(settings, topics, token_)
    click.echo(f"token {name} of {token_.person}, until {to_rfc3339(token_.expires)}; it is shown only now:", err=True)
    click.echo(secret)


@token.command("list")
def show() -> None:
    """List the tokens, without their secrets, which are not stored."""
    rows = [("ID", "TENANT", "PERSON", "ROLE", "STATE", "EXPIRES", "PROGRAMMES")]
    for one in _read(*settings_or_exit()).values():
        state = "revoked" if one.revoked else "valid" if one.is_valid(datetime.now(UTC)) else "expired"
        programs, expires = ", ".join(one.programs) or "all", to_rfc3339(one.expires)
        rows.append((one.token_id, one.tenant, one.person, one.role, state, expires, programs))
    for line in columns(rows):
        click.echo(line)


@token.command()
@click.argument("token_id", metavar="ID")
def revoke(token_id: str) -> None:
    """Revoke a token; boards that run end its sessions within about a second."""
    settings, topics = settings_or_exit()
    existing = _read(settings, topics).get(token_id)
    if existing is None:
        fail(f"there is no token {token_id[:64]!r}")
    if existing.revoked is None:
        _save(settings, topics, existing.model_copy(update={"revoked": datetime.now(UTC)}))
    click.echo(f"token {token_id} is revoked")


def _read(settings: NotifySettings, topics: NotifyTopics) -> dict[str, BoardToken]:
    """Read the tokens as the board does."""
    state = BoardState(topics)
    for record in read_to_end(settings, [topics.board_tokens]):
        state.apply(record)
    return dict(state.tokens())


def _save(settings: NotifySettings, topics: NotifyTopics, saved: BoardToken) -> None:
    value = saved.model_dump_json().encode()
    write(settings, [OutgoingRecord(topics.board_tokens, value, saved.token_id.encode(), [])])
