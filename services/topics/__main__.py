"""`rapport topics create`: makes the cluster's topics those of the registry."""

import sys
from typing import Any

import click

from schemas.topics import DEFAULT_PARTITIONS, TOPICS, Topic
from services.runtime.kafka import KafkaError, create_topics
from services.runtime.settings import Settings, SettingsError, load


@click.group()
def main() -> None:
    """Kafka topics, from the registry in schemas/topics.py."""


@main.command()
@click.option(
    "--partitions",
    type=click.IntRange(1, 1024),
    default=DEFAULT_PARTITIONS,
    show_default=True,
    help="Of the log and all that follows it. Fixed from then on: a relationship lives on one partition.",
)
@click.option("--replication", type=click.IntRange(1, 9), default=1, show_default=True)
def create(partitions: int, replication: int) -> None:
    """Create the topics that do not exist yet; those that do are left as they are."""
    try:
        settings = load(Settings, "topics")
        options = {topic.name: _options(topic, partitions, replication) for topic in TOPICS}
        created = create_topics(settings, options)
    except (SettingsError, KafkaError) as problem:
        sys.exit(f"rapport topics: {problem}")
    for name in created:
        click.echo(f"created {name}")
    click.echo(f"{len(created)} topics created, {len(TOPICS) - len(created)} were there")


def _options(topic: Topic, partitions: int, replication: int) -> dict[str, Any]:
    retention = round(topic.retention.total_seconds() * 1000) if topic.retention.days >= 0 else -1
    configs = {"cleanup.policy": topic.cleanup, **dict(topic.config)}
    if topic.cleanup == "delete":
        configs |= {"retention.ms": str(retention), "retention.bytes": "-1"}
    return {
        "num_partitions": topic.partitions or partitions,
        "replication_factor": replication,
        "configs": configs,
    }


if __name__ == "__main__":
    main()
