"""`rapport ingest token create|list|revoke`."""

import secrets
from datetime import UTC, datetime

import click
from pydantic import ValidationError

from schemas.primitives import to_rfc3339
from schemas.tokens import Token, hashed, secret_of
from schemas.topics import TOKENS
from services.ingest.console import command_settings, print_columns, report_errors, write
from services.ingest.domain.scope import RESERVED
from services.ingest.domain.verdict import explain
from services.ingest.flow.tokens import read_tokens

RANDOM_BYTES = 32


@click.group()
def token() -> None:
    """Tokens: who may send what."""


@token.command()
@click.option("--tenant", required=True)
@click.option("--source", "sources", multiple=True, required=True, help="A CloudEvents source that it may send as.")
@click.option("--program", "programs", multiple=True, help="Default: every programme of the tenant.")
@click.option("--admin", is_flag=True, help="It may also erase relationships and advance the log's clock.")
@click.option("--id", "token_id", help="The id of the token; default: a random one.")
def create(token_id: str | None, **scopes: object) -> None:
    """Create a token and print its secret, once, on standard output; running gateways accept it within a
    second or so."""
    with report_errors():
        settings = command_settings()
        name = token_id or f"t{secrets.token_hex(5)}"
        secret = secret_of(Token, name, secrets.token_hex(RANDOM_BYTES))
        created = _token(name, secret, scopes)
        if name in read_tokens(settings):
            raise click.ClickException(f"there is a token {name!r} already")
        write(settings, TOKENS.name, {name: created.model_dump_json().encode()})
    click.echo(f"token {name} of tenant {created.tenant}; its secret is shown only now:", err=True)
    click.echo(secret)


@token.command("list")
def show() -> None:
    """List the tokens, without their secrets, which are not stored."""
    with report_errors():
        tokens = read_tokens(command_settings())
    rows = [("ID", "TENANT", "STATE", "ADMIN", "CREATED", "PROGRAMMES", "SOURCES")]
    for one in tokens.values():
        state = f"revoked {to_rfc3339(one.revoked)}" if one.revoked else "valid"
        created, programs = to_rfc3339(one.created), ", ".join(one.programs) or "all"
        admin = "yes" if one.admin else "no"
        rows.append((one.token_id, one.tenant, state, admin, created, programs, ", ".join(one.sources)))
    print_columns(rows)


@token.command()
@click.argument("token_id", metavar="ID")
def revoke(token_id: str) -> None:
    """Revoke a token; running gateways refuse it within about a second."""
    with report_errors():
        settings = command_settings()
        existing = read_tokens(settings).get(token_id)
        if existing is None:
            raise click.ClickException(f"there is no token {token_id!r}")
        if existing.revoked is None:
            revoked = existing.model_copy(update={"revoked": datetime.now(UTC)})
            write(settings, TOKENS.name, {token_id: revoked.model_dump_json().encode()})
    click.echo(f"token {token_id} is revoked")


def _token(token_id: str, secret: str, scopes: dict[str, object]) -> Token:
    try:
        ours = {"token_id": token_id, "sha256": hashed(secret), "created": datetime.now(UTC)}
        made = Token.model_validate({**ours, **scopes})
    except ValidationError as invalid:
        faults = "; ".join(f"{problem.path}: {problem.reason}" for problem in explain(invalid))
        raise click.ClickException(faults) from invalid
    if any(source.startswith(RESERVED) for source in made.sources):
        raise click.ClickException(f"sources: those that begin with {RESERVED} are Rapport's own")
    return made
