"""Faust, configured so that it neither loses nor duplicates anything; each setting was found by a drill or in its
source. Recovery: Faust reads the changelog of the assigned partitions, and our own merge turns it into states."""

import os
from collections.abc import Callable, Iterable

import faust
from mode.supervisors import CrashingSupervisor

from schemas.topics import SCORING_STATE
from services.runtime.kafka import tls_context
from services.scoring.domain.changelog import Recovery
from services.scoring.flow.faust.consumer import read_any_record
from services.scoring.flow.faust.scheduler import Untyped
from services.scoring.flow.settings import ScoringSettings
from services.scoring.topics import Topics


class BatchSchema(faust.Schema):  # type: ignore[misc]
    """Passes a batch through undecoded: scoring decodes it."""

    def compile(self, app: Untyped, **_options: Untyped) -> Callable[..., Untyped]:
        create = app.create_event

        async def decode(message: Untyped, *, propagate: bool = False) -> Untyped:  # noqa: ARG001 (Faust passes it)
            return create(message.key, message.value, None, message)

        return decode


class StateTable(faust.Table):  # type: ignore[misc]
    """A table that only recovers. The worker writes its changelog itself, and its records are acknowledged before the
    input."""

    mundane_level = "debug"

    def __init__(self, *args: Untyped, **options: Untyped) -> None:
        super().__init__(*args, **options)
        self._recoveries: dict[int, Recovery] = {}
        self._problem: Exception | None = None
        self.on_progress: Callable[[], None] = lambda: None

    def pop_recovery(self, partition: int) -> Recovery:
        """The records read of a partition, not yet merged; nothing is kept here. Raises what reading them raised."""
        if self._problem:
            raise self._problem
        return self._recoveries.pop(partition, Recovery())

    def apply_changelog_batch(self, batch: Iterable[Untyped]) -> None:
        self.on_progress()
        try:
            for event in batch:
                recovery = self._recoveries.setdefault(event.message.partition, Recovery())
                for record in event.value:
                    recovery.add(record.key, record.value)
        except Exception as problem:  # noqa: BLE001 (raised again by `pop_recovery`; here Faust would log it and wait for ever)
            self._problem = problem

    async def on_rebalance(
        self, assigned: Untyped, revoked: Untyped, newly_assigned: Untyped, generation_id: int = 0
    ) -> None:
        """Read every partition from the beginning, even one that Faust assumes we kept: another member may have written
        it while we were out of the group."""
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)
        self._recoveries.clear()
        for tp in assigned:
            self.app.tables.recovery.revoke(tp)


ONE_DAY = 86_400.0
POLL_SECONDS = 300.0
"""A worker that neither fetches nor works for this long leaves the group; recovery and long work count as polling."""
RECOVERY_BATCHES = 64
"""Batches of the changelog in memory at once."""


def faust_app(settings: ScoringSettings, topics: Topics, partitions: int, scheduler: type) -> faust.App:
    session = settings.scoring_session_seconds
    read_any_record()
    return faust.App(
        topics.group,
        broker=[f"kafka://{address}" for address in settings.kafka.split(",")],
        broker_credentials=credentials(settings),
        store="memory://",
        datadir=str(settings.scoring_datadir),
        web_enabled=False,
        topic_partitions=partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        ConsumerScheduler=scheduler,
        Table=StateTable,
        agent_supervisor=CrashingSupervisor,
        producer_acks=-1,
        producer_linger=0.005,
        producer_max_batch_size=1 << 19,
        # The largest state must fit into a request.
        producer_max_request_size=SCORING_STATE.most_bytes + (1 << 20),
        producer_request_timeout=60.0,
        broker_max_poll_records=5_000,
        broker_session_timeout=session,
        broker_heartbeat_interval=session / 5,
        broker_rebalance_timeout=rebalance_seconds(settings),
        broker_max_poll_interval=POLL_SECONDS,
        broker_commit_interval=1.0,
        broker_commit_every=1,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=settings.instance or None,
        key_serializer="raw",
        value_serializer="raw",
        stream_wait_empty=True,
        # Our own liveness check applies. Faust's check would treat a partition that waits for its turn as stalled.
        stream_processing_timeout=ONE_DAY,
        stream_buffer_maxsize=RECOVERY_BATCHES,
        canonical_url=f"http://{settings.instance or os.getpid()}:6066",
    )


def rebalance_seconds(settings: ScoringSettings) -> float:
    return max(10.0, 2 * settings.scoring_session_seconds)


def credentials(settings: ScoringSettings) -> Untyped:
    """The credentials of Faust's Kafka clients."""
    protocol, password = settings.kafka_security_protocol, settings.kafka_sasl_password
    context = tls_context(settings)
    if protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=settings.kafka_sasl_username,
            password=password.get_secret_value() if password else None,
            ssl_context=context,
            mechanism=settings.kafka_sasl_mechanism,
        )
    return faust.SSLCredentials(context) if context else None
