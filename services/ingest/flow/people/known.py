"""What the projection and the directory know as of now, read once, for the command line."""

from services.ingest.domain.people.roster import Roster
from services.ingest.domain.tools.knowledge import Knowledge
from services.ingest.flow.people.followers import KnowledgeFollower
from services.runtime.health import Health
from services.runtime.settings import Settings

AWAITED_SECONDS = 60.0


class ProjectionBehindError(Exception):
    """The message says what to do."""


def known_now(settings: Settings, digest_key: str = "") -> Knowledge:
    """`digest_key`: of ids that may be text, as payloads hold them. Raises KafkaError, and ProjectionBehindError where
    nothing projects the log."""
    knowledge = Knowledge(Roster(digest_key))
    follower = KnowledgeFollower(settings, knowledge, Health())
    if not follower.read_once(AWAITED_SECONDS):
        raise ProjectionBehindError(
            "the roster is behind the log: start `rapport ingest work`, or run `rapport ingest project` once"
        )
    return knowledge
