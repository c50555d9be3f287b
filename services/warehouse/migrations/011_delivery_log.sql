-- Every change of every message to people, without its recipient, who is an address.
-- ORDER BY: a relationship's messages in time, the changes of one together; event_id comes last and collapses repeats.
-- PARTITION BY month of planning, which all changes of a message share.
-- Engine: of rows with the same key the last on the log stays.
CREATE TABLE IF NOT EXISTS mentoring.delivery_log {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String CODEC(ZSTD(1)) COMMENT 'The mentoring relationship (pair or group)',
    planned_at      DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When the message was planned',
    delivery_id     String CODEC(ZSTD(1)) COMMENT 'Names one message to one recipient',
    event_id        UUID COMMENT 'Hash of tenant, source and id of the delivery event',
    dedup_key       String CODEC(ZSTD(1)) COMMENT 'The episode of the alert that it tells of',
    rule            LowCardinality(String) COMMENT 'The rule that decided',
    urgency         LowCardinality(String) COMMENT 'P1 now, P2 the same working day, P3 in the digest',
    transition      LowCardinality(String) COMMENT 'What of the alert it tells: fired, escalated, resolved',
    channel         LowCardinality(String) COMMENT 'By which channel',
    state           LowCardinality(String) COMMENT 'planned, started, delivered, dead',
    attempt         UInt32 COMMENT 'Attempts so far',
    status          LowCardinality(String) COMMENT 'What the channel answered; empty when it was no status of a protocol',
    latency_ms      UInt32 COMMENT 'Of the last attempt, milliseconds',
    due_at          DateTime64(6, 'UTC') COMMENT 'Not to be sent before',
    started_at      DateTime64(6, 'UTC') COMMENT 'The first attempt; 1970 when there was none',
    changed_at      DateTime64(6, 'UTC') COMMENT 'When it came into this state',
    recorded_at     DateTime64(6, 'UTC') COMMENT 'recordedtime of the delivery event',
    log_partition   UInt16 COMMENT 'Partition of mentoring.alerts',
    log_offset      UInt64 COMMENT 'Offset in that partition',
    inserted_at     DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the warehouse stored it',
    INDEX by_insertion inserted_at TYPE minmax GRANULARITY 1
)
ENGINE = {engine}ReplacingMergeTree(log_offset)
PARTITION BY toYYYYMM(planned_at)
ORDER BY (tenant_id, program_id, relationship_id, planned_at, delivery_id, event_id)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Every change of every message to people; read with FINAL or through mentoring_mart.deliveries';

-- Kinds of transitions that notify may add.
ALTER TABLE mentoring.alert_log {on_cluster}
    MODIFY COLUMN IF EXISTS transition
    Enum8('fired' = 1, 'escalated' = 2, 'resolved' = 3, 'reminded' = 4, 'unstable' = 5)
    COMMENT 'What changed; escalated: the same episode became more urgent';
