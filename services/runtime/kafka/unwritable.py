"""Why a record cannot be written, however often it is tried; and what only looks like it."""

from kafka import errors


class UnwritableRecordError(errors.KafkaError):  # type: ignore[misc]
    """A record cannot be written, and that is its own fault: others go on, and it belongs into quarantine."""


class RecordTooLargeError(UnwritableRecordError):
    """Known before it is sent: it is larger than its topic, or a request, may hold."""

    def __init__(self, topic: str, size: int, limit: int) -> None:
        super().__init__(f"a record of {topic} has at most {limit} bytes with all that Kafka adds, this one has {size}")
        self.size, self.limit = size, limit


class RecordRefusedError(UnwritableRecordError):
    """The broker refused it when it was sent alone. `reason` is the broker's name for that."""

    def __init__(self, topic: str, refusal: errors.KafkaError) -> None:
        super().__init__(f"the broker refuses this record of {topic}: {type(refusal).__name__}")
        self.reason = type(refusal).__name__


class ProducerReplacedError(errors.RetriableError):  # type: ignore[misc]
    """The producer is being replaced: the same record may be sent again, and nobody knows whether it is on the log."""


class TopicSealedError(errors.RetriableError):  # type: ignore[misc]
    """An operator has closed the topic for every record, as `rapport scoring grow` does: no record is at fault."""


# What a broker says of a record. A batch is refused as a whole: of its records each is to be tried alone.
OF_THE_RECORD = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidTimestampError,
    errors.InvalidRecordError,
    errors.CorruptRecordError,
    errors.PolicyViolationError,
    errors.UnsupportedForMessageFormatError,
    # "An unexpected server error": alone on a new producer it is this record that the broker stumbles over.
    errors.UnknownError,
)
# What an operator has to mend. Every record alike meets it, hence none is put aside for it: all wait.
OF_AUTHORIZATION = (errors.AuthorizationError, errors.SaslAuthenticationFailedError)
