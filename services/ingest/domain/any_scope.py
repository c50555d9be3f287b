"""For what is judged and never written: a scope that may say just this, and digests of ids."""

from services.ingest.domain.pseudonym import pseudonym_of
from services.ingest.domain.scope import Scope


def any_pseudonym(text: str) -> str:
    """As a gateway with a key would replace it; nothing is kept of it."""
    return pseudonym_of("of what is judged and never written", "any")(text)


def any_scope(event: object, tenant: str) -> Scope:
    """`tenant` is whose it is if the event does not say so."""
    given = event if isinstance(event, dict) else {}
    data = given.get("data")
    sources = (given.get("source"), data.get("source") if isinstance(data, dict) else None)
    named = given.get("tenant")
    return Scope(
        named if isinstance(named, str) and named else tenant,
        frozenset(source for source in sources if isinstance(source, str)),
        admin=True,
    )
