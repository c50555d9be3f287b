"""The broker's server.properties: one node, loopback only, unlimited retention."""

from collections.abc import Mapping
from pathlib import Path

from deploy.local.ports import LOOPBACK

INTERNAL_PARTITIONS = "4"  # 50 by default: slow to create and to load for nothing on one node


def server_properties(data: Path, ports: Mapping[str, int], controller_port: int, extra: Mapping[str, str]) -> str:
    """Return the text of the properties file. `ports` maps the security protocol of each client listener to its port;
    it includes PLAINTEXT, which brokers use among themselves. `extra` overrides the settings here."""
    listeners = ",".join(
        f"{name}://{LOOPBACK}:{port}" for name, port in {**ports, "CONTROLLER": controller_port}.items()
    )
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"{LOOPBACK}:{controller_port}",
        "listeners": listeners,
        "advertised.listeners": listeners,
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": ",".join(["CONTROLLER:PLAINTEXT", *(f"{name}:{name}" for name in ports)]),
        "log.dirs": str(data / "log"),
        # One node holds the only replica.
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "offsets.topic.num.partitions": INTERNAL_PARTITIONS,
        "transaction.state.log.num.partitions": INTERNAL_PARTITIONS,
        "share.coordinator.state.topic.num.partitions": INTERNAL_PARTITIONS,
        # A first consumer need not wait for others to join.
        "group.initial.rebalance.delay.ms": "0",
        # Lets tests and drills see a dead member leave in a second.
        "group.min.session.timeout.ms": "1000",
        # After a kill the controller waits for the old broker session to expire: 9 s by default.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        # By default the controller writes a record twice a second, forever: a third of the CPU of an idle broker.
        "metadata.max.idle.interval.ms": "0",
        # A misspelt topic must fail, not be created.
        "auto.create.topics.enable": "false",
        # The log is the source of truth: nothing expires unless its topic is configured so.
        "log.retention.hours": "-1",
    }
    return "".join(f"{name}={value}\n" for name, value in {**settings, **extra}.items())
