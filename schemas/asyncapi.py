"""All topics as one AsyncAPI 3.0 document: what each carries, how it is keyed and kept, who writes and who reads it."""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.models import PREFIX, carried, is_event, models
from schemas.topics import FOREVER, TOPICS, Topic

# Our schemas use no keyword that draft 07 and 2020-12 read differently; AsyncAPI 3.0 asks its tools for draft 07 only.
DIALECT = "application/schema+json;version=draft-07"
KAFKA_BINDING = "0.5.0"
STRUCTURED = "application/cloudevents+json"
INFO = {
    "title": "Rapport",
    "version": "1.0.0",
    "description": "An event-sourced mentoring engagement engine: every Kafka topic that its services share. Sent by "
    "`ingest`, `scoring` and `notify`, and by enterprises and operators where their topics say so.",
}
Tree = dict[str, Any]


def document() -> Tree:
    return {
        "asyncapi": "3.0.0",
        "id": "urn:rapport",
        "info": INFO,
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {name: operation for topic in TOPICS for name, operation in _operations(topic)},
        "components": {"messages": {_id(name): _message(name, topic) for topic in TOPICS for name in _carried(topic)}},
    }


def _channel(topic: Topic) -> Tree:
    return {
        "address": topic.name,
        "description": f"{topic.payload}. Written by {_listed(topic.producers)}, read by {_listed(topic.consumers)}.",
        "messages": _messages(topic),
        "bindings": {"kafka": {"topic": topic.name, "topicConfiguration": _kept(topic)} | _partitions(topic)},
    }


def _messages(topic: Topic) -> Tree:
    """By name; a topic without a model carries one kind of message, of bytes."""
    if not _carried(topic):
        bytes_ = {"contentType": "application/octet-stream", "summary": topic.payload}
        return {"record": bytes_ | _keyed(topic)}
    return {_id(name): {"$ref": f"#/components/messages/{_id(name)}"} for name in _carried(topic)}


def _message(name: str, topic: Topic) -> Tree:
    payload = {"schemaFormat": DIALECT, "schema": {"$ref": f"./json/{name}.json"}}
    message = {"name": _id(name), "payload": payload} | _keyed(topic)
    if is_event(models()[name]):
        return message | {"contentType": STRUCTURED, "headers": _structured()}
    return message | {"contentType": "application/json"}


def _structured() -> Tree:
    header = {"type": "string", "const": STRUCTURED}
    return {"type": "object", "properties": {"content-type": header}, "required": ["content-type"]}


def _keyed(topic: Topic) -> Tree:
    kafka = {"key": {"type": "string", "description": topic.key}, "bindingVersion": KAFKA_BINDING}
    return {"bindings": {"kafka": kafka}}


def _kept(topic: Topic) -> Tree:
    if topic.cleanup == "compact":
        return {"cleanup.policy": ["compact"], "max.message.bytes": topic.most_bytes}
    forever = topic.retention == FOREVER
    return {
        "cleanup.policy": ["delete"],
        "max.message.bytes": topic.most_bytes,
        "retention.ms": -1 if forever else round(topic.retention.total_seconds() * 1000),
        "retention.bytes": -1,
    }


def _partitions(topic: Topic) -> Tree:
    return {"bindingVersion": KAFKA_BINDING} | ({"partitions": topic.partitions} if topic.partitions else {})


def _operations(topic: Topic) -> Iterator[tuple[str, Mapping[str, Any]]]:
    channel = {"$ref": f"#/channels/{topic.name}"}
    for action, parties in (("send", topic.producers), ("receive", topic.consumers)):
        for party in parties:
            title = f"{party} {'writes' if action == 'send' else 'reads'} {topic.name}"
            yield (
                f"{party}.{action}.{topic.name.removeprefix(PREFIX)}",
                {"action": action, "channel": channel, "title": title, "tags": [{"name": party}]},
            )


def _carried(topic: Topic) -> tuple[str, ...]:
    return carried(topic.payload)


def _id(name: str) -> str:
    return f"{PREFIX}{name}" if is_event(models()[name]) else name


def _listed(parties: tuple[str, ...]) -> str:
    return " and ".join(parties)
