-- Every transition of every alert.
-- ORDER BY: a relationship's alerts in time; event_id comes last and collapses repeats.
-- PARTITION BY month of event time: a batch is split by month, so that one insert touches one partition and is atomic.
-- Engine: of rows with the same key the last on the log stays.
CREATE TABLE IF NOT EXISTS mentoring.alert_log {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String CODEC(ZSTD(1)) COMMENT 'The mentoring relationship that the alert is about',
    at              DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When the condition was met, event time',
    event_id        UUID COMMENT 'Hash of tenant, source and id of the alert event',
    alert_key       String CODEC(ZSTD(1)) COMMENT 'Rule and subject, hashed: the same in all episodes',
    dedup_key       String CODEC(ZSTD(1)) COMMENT 'The episode: all its transitions share it',
    episode         UInt32 COMMENT 'Number of the episode, from 1',
    rule            LowCardinality(String) COMMENT 'The rule that decided',
    rule_version    LowCardinality(String) COMMENT 'Its version',
    urgency         Enum8('P1' = 1, 'P2' = 2, 'P3' = 3) COMMENT 'P1 now, P2 the same working day, P3 in the digest',
    transition      Enum8('fired' = 1, 'escalated' = 2, 'resolved' = 3) COMMENT 'What changed; escalated: the same episode became more urgent',
    condition       Enum8('ok' = 1, 'pending' = 2, 'firing' = 3, 'recovering' = 4) COMMENT 'The condition afterwards',
    why             LowCardinality(String) COMMENT 'Why it changed',
    since           DateTime64(6, 'UTC') COMMENT 'Since when the condition has held',
    decided_at      DateTime64(6, 'UTC') COMMENT 'When it was decided, wall time',
    as_of           DateTime64(6, 'UTC') COMMENT 'Instant of the score that it was decided on',
    health          Int32 COMMENT 'Health in that score, in millionths',
    band            Enum8('none' = 0, 'thriving' = 1, 'steady' = 2, 'strained' = 3, 'critical' = 4) COMMENT 'Band in that score',
    risk            Int32 COMMENT 'Risk in that score, in millionths',
    confidence      Int32 COMMENT 'Confidence in that score, in millionths',
    calibrated      Bool COMMENT 'Whether risk was calibrated',
    last_contact    DateTime64(6, 'UTC') COMMENT 'The latest contact then; 1970 when there was none',
    trigger_source  LowCardinality(String) COMMENT 'Source of the event that brought it about; empty when time did',
    trigger_id      String CODEC(ZSTD(1)) COMMENT 'Its id',
    trigger_type    LowCardinality(String) COMMENT 'Its type',
    reasons         Map(LowCardinality(String), Int32) COMMENT 'What it is made of: points in millionths by name',
    summary         String CODEC(ZSTD(3)) COMMENT 'What people were told',
    next_step       String CODEC(ZSTD(3)) COMMENT 'What they were advised to do',
    not_sent        LowCardinality(String) COMMENT 'Why nobody was told; empty when people were',
    recorded_at     DateTime64(6, 'UTC') COMMENT 'recordedtime of the alert event',
    log_partition   UInt16 COMMENT 'Partition of mentoring.alerts',
    log_offset      UInt64 COMMENT 'Offset in that partition',
    inserted_at     DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the warehouse stored it',
    INDEX by_insertion inserted_at TYPE minmax GRANULARITY 1
)
ENGINE = {engine}ReplacingMergeTree(log_offset)
PARTITION BY toYYYYMM(at)
ORDER BY (tenant_id, program_id, relationship_id, at, event_id)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Every alert fired and resolved, with its reasons; read with FINAL or through mentoring_mart.alerts';
