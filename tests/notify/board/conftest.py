"""A world on topics of its own on the shared broker, and its board over real connections."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
import pytest

from deploy.local.kafka import LocalKafka
from schemas.tokens import BoardRole
from services.notify.board.meetings import Gateway
from services.notify.board.rendering import Board
from services.notify.topics import NotifyTopics
from services.runtime.kafka import create_topics
from services.runtime.settings import Settings
from tests.notify.board.world import World, served, signed_in
from tests.plain_http import NO_TLS


@dataclass
class Served:
    """A world with its board; `enter` signs somebody in."""

    world: World
    board: Board
    url: str
    settings: Settings
    stack: ExitStack

    def enter(self, person: str, role: BoardRole, *programs: str, **given: object) -> httpx.Client:
        return self.stack.enter_context(signed_in(self.url, self.world.token(person, role, *programs, **given)))

    def stranger(self) -> httpx.Client:
        return self.stack.enter_context(httpx.Client(base_url=self.url, timeout=30, verify=NO_TLS))


@pytest.fixture
def pair() -> str:
    """Of this test only."""
    return f"pair-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def topics(local_kafka: LocalKafka) -> NotifyTopics:
    """Commands and deliveries of all worlds of the run; what a test writes there has ids of its own."""
    prefix = f"board-{uuid.uuid4().hex[:8]}"
    names = NotifyTopics(commands=f"{prefix}.commands", deliveries=f"{prefix}.deliveries")
    single: dict[str, object] = {"num_partitions": 1, "replication_factor": 1, "configs": {}}
    create_topics(Settings(kafka=local_kafka.bootstrap), {names.commands: single, names.deliveries: single})
    return names


@pytest.fixture
def site() -> Iterator[Served]:
    """A site for viewers: there is no broker."""
    with served_world(Settings(kafka="127.0.0.1:1"), NotifyTopics()) as found:
        yield found


@pytest.fixture
def acted_on(local_kafka: LocalKafka, topics: NotifyTopics) -> Iterator[Served]:
    """A site with an instance of notify that applies commands."""
    with served_world(Settings(kafka=local_kafka.bootstrap), topics) as found, found.world.leading(found.settings):
        yield found


@contextmanager
def served_world(settings: Settings, names: NotifyTopics, gateway: Gateway | None = None) -> Iterator[Served]:
    world = World(names)
    with ExitStack() as stack:
        board = stack.enter_context(world.board(settings, gateway=gateway))
        url = stack.enter_context(served(board))
        yield Served(world, board, url, settings, stack)
