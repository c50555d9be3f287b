"""`rapport topics create`: creates the topics of the registry on the cluster."""

import sys

import click

from schemas.topics import DEFAULT_PARTITIONS, TOPICS
from services.runtime.kafka import KafkaError, create_topics
from services.runtime.kafka.admin import add_options, raise_limits
from services.runtime.settings import Settings, SettingsError, load


@click.group()
def main() -> None:
    """Create Kafka topics from the registry in schemas/topics.py."""


@main.command()
@click.option(
    "--partitions",
    type=click.IntRange(1, 1024),
    default=DEFAULT_PARTITIONS,
    show_default=True,
    help="Partitions of the event log and of the topics derived from it. Fixed after creation, because a relationship "
    "stays on one partition; `rapport scoring repartition` creates a log with more.",
)
@click.option("--replication", type=click.IntRange(1, 9), default=1, show_default=True)
def create(partitions: int, replication: int) -> None:
    """Create the topics that do not exist yet. Existing topics keep their configuration, except that max.message.bytes
    is raised to the registry's value, and that options of the registry are added where the topic has no value of its
    own."""
    try:
        settings = load(Settings, "topics")
        options = {topic.at(settings.log_epoch): topic.options(partitions, replication) for topic in TOPICS}
        created = create_topics(settings, options)
        raised = raise_limits(settings, {topic.at(settings.log_epoch): topic.most_bytes for topic in TOPICS})
        given = {topic.at(settings.log_epoch): dict(topic.config) for topic in TOPICS if topic.config}
        changed = add_options(settings, given)
    except (SettingsError, KafkaError) as problem:
        sys.exit(f"rapport topics: {problem}")
    for name in created:
        click.echo(f"created {name}")
    for name in raised:
        click.echo(f"raised the size of a record of {name}")
    for name in changed:
        click.echo(f"added options to {name}")
    click.echo(f"{len(created)} topics created, {len(TOPICS) - len(created)} were there")


if __name__ == "__main__":
    main()
