"""All topics as one AsyncAPI 3.0 document: their messages, keys and retention, and which services write and read
them."""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.models import PREFIX, carried, is_event, models
from schemas.topics import FOREVER, TOPICS, Topic

# AsyncAPI 3.0 requires tools to support draft 07 only. Our schemas use no keyword that draft 07 and 2020-12 interpret
# differently.
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
        "components": {
            "messages": {_id(name): _message(name, topic) for topic in TOPICS for name in carried(topic.payload)}
        },
    }


def _channel(topic: Topic) -> Tree:
    kafka = {"topic": topic.name, "topicConfiguration": _topic_configuration(topic), "bindingVersion": KAFKA_BINDING}
    return {
        "address": topic.name,
        "description": f"{topic.payload}. Written by {' and '.join(topic.producers)}, "
        f"read by {' and '.join(topic.consumers)}.",
        # A topic without a model carries one kind of message, as bytes.
        "messages": {_id(name): {"$ref": f"#/components/messages/{_id(name)}"} for name in carried(topic.payload)}
        or {"record": {"contentType": "application/octet-stream", "summary": topic.payload} | _key_binding(topic)},
        "bindings": {"kafka": kafka | ({"partitions": topic.partitions} if topic.partitions else {})},
    }


def _message(name: str, topic: Topic) -> Tree:
    payload = {"schemaFormat": DIALECT, "schema": {"$ref": f"./json/{name}.json"}}
    message = {"name": _id(name), "payload": payload} | _key_binding(topic)
    if not is_event(models()[name]):
        return message | {"contentType": "application/json"}
    header = {"type": "string", "const": STRUCTURED}
    headers = {"type": "object", "properties": {"content-type": header}, "required": ["content-type"]}
    return message | {"contentType": STRUCTURED, "headers": headers}


def _key_binding(topic: Topic) -> Tree:
    kafka = {"key": {"type": "string", "description": topic.key}, "bindingVersion": KAFKA_BINDING}
    return {"bindings": {"kafka": kafka}}


def _topic_configuration(topic: Topic) -> Tree:
    if topic.cleanup == "compact":
        return {"cleanup.policy": ["compact"], "max.message.bytes": topic.most_bytes}
    forever = topic.retention == FOREVER
    return {
        "cleanup.policy": ["delete"],
        "max.message.bytes": topic.most_bytes,
        "retention.ms": -1 if forever else round(topic.retention.total_seconds() * 1000),
        "retention.bytes": -1,
    }


def _operations(topic: Topic) -> Iterator[tuple[str, Mapping[str, Any]]]:
    channel = {"$ref": f"#/channels/{topic.name}"}
    for action, parties in (("send", topic.producers), ("receive", topic.consumers)):
        for party in parties:
            title = f"{party} {'writes' if action == 'send' else 'reads'} {topic.name}"
            yield (
                f"{party}.{action}.{topic.name.removeprefix(PREFIX)}",
                {"action": action, "channel": channel, "title": title, "tags": [{"name": party}]},
            )


def _id(name: str) -> str:
    return f"{PREFIX}{name}" if is_event(models()[name]) else name
