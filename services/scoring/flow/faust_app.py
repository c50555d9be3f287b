"""Faust, set so that it neither loses nor doubles anything; each setting was found by a drill or in its source."""

import os

import faust
from mode.supervisors import CrashingSupervisor

from schemas.topics import SCORING_STATE
from services.scoring.flow.any_header_name import read_any_header_name
from services.scoring.flow.credentials import credentials
from services.scoring.flow.recovery import StateTable
from services.scoring.flow.settings import ScoringSettings
from services.scoring.names import Names

ONE_DAY = 86_400.0
RECOVERY_RUNS = 64
"""Runs of the changelog in memory at once."""


def faust_app(settings: ScoringSettings, names: Names, partitions: int, scheduler: type) -> faust.App:
    session = settings.scoring_session_seconds
    read_any_header_name()
    return faust.App(
        names.group,
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
        # A request with the largest state of its own.
        producer_max_request_size=SCORING_STATE.most_bytes + (1 << 20),
        producer_request_timeout=60.0,
        broker_max_poll_records=5_000,
        broker_session_timeout=session,
        broker_heartbeat_interval=session / 5,
        broker_rebalance_timeout=rebalance_seconds(settings),
        broker_commit_interval=1.0,
        broker_commit_every=1,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=settings.instance or None,
        key_serializer="raw",
        value_serializer="raw",
        stream_wait_empty=True,
        # Our own liveness looks. Faust's look at each partition takes waiting for its turn for standing still.
        stream_processing_timeout=ONE_DAY,
        stream_buffer_maxsize=RECOVERY_RUNS,
        canonical_url=f"http://{settings.instance or os.getpid()}:6066",
    )


def rebalance_seconds(settings: ScoringSettings) -> float:
    return max(10.0, 2 * settings.scoring_session_seconds)
