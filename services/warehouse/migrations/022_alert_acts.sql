-- What people did with alerts: acknowledged, snoozed, assigned, voted. Who did it is not kept.
-- ORDER BY: a relationship's acts in time; event_id comes last and collapses repeats.
-- PARTITION BY month of the act: a batch is split by month, so that one insert touches one partition and is atomic.
-- Engine: of rows with the same key the last on the log stays.
CREATE TABLE IF NOT EXISTS mentoring.alert_acts {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String CODEC(ZSTD(1)) COMMENT 'The mentoring relationship that the alert is about; empty when it is about a programme or a source',
    at              DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When it was done, wall time',
    event_id        UUID COMMENT 'Hash of tenant, source and id of the event',
    subject_kind    LowCardinality(String) COMMENT 'What the alert is about: relationship, programme, source',
    subject         String CODEC(ZSTD(1)) COMMENT 'Its id',
    decided_at      DateTime64(6, 'UTC') COMMENT 'When it took effect, wall time',
    alert_key       String CODEC(ZSTD(1)) COMMENT 'Rule and subject, hashed: the same in all episodes',
    dedup_key       String CODEC(ZSTD(1)) COMMENT 'The episode of the alert',
    rule            LowCardinality(String) COMMENT 'The rule that decided',
    act             LowCardinality(String) COMMENT 'What was done: acknowledge, unacknowledge, snooze, assign, note, vote',
    state           LowCardinality(String) COMMENT 'How the alert is handled since: open, acknowledged, snoozed',
    until           DateTime64(6, 'UTC') COMMENT 'Until when; 1970 when it is open',
    assigned        Bool COMMENT 'Whether somebody has it since',
    verdict         LowCardinality(String) COMMENT 'The vote: useful, not_useful; empty when it was none',
    closing         LowCardinality(String) COMMENT 'What became of it, as the vote says; empty when it was none',
    refused         Bool COMMENT 'Whether it was refused and changed nothing',
    recorded_at     DateTime64(6, 'UTC') COMMENT 'recordedtime of the event',
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
COMMENT 'Every act of a person on an alert; read with FINAL or through mentoring_mart.alert_acts';

-- Alerts are of subjects. One of a programme or of a source rests on no score: its band is none.
ALTER TABLE mentoring.alert_log {on_cluster}
    MODIFY COLUMN IF EXISTS relationship_id
    COMMENT 'The mentoring relationship that the alert is about; empty when it is about a programme or a source';

ALTER TABLE mentoring.alert_log {on_cluster}
    ADD COLUMN IF NOT EXISTS subject_kind LowCardinality(String) DEFAULT 'relationship'
    COMMENT 'What the alert is about: relationship, programme, source' AFTER event_id;

ALTER TABLE mentoring.alert_log {on_cluster}
    ADD COLUMN IF NOT EXISTS subject String DEFAULT relationship_id CODEC(ZSTD(1)) COMMENT 'Its id' AFTER subject_kind;

ALTER TABLE mentoring.alert_log {on_cluster}
    ADD COLUMN IF NOT EXISTS seq UInt32
    COMMENT 'Number of the transition over all episodes of the alert; 0 of the time before they were counted' AFTER subject;

-- A message may list further alerts: each has a row of its own, with its own relationship.
ALTER TABLE mentoring.delivery_log {on_cluster}
    MODIFY COLUMN IF EXISTS relationship_id
    COMMENT 'The mentoring relationship that the alert is about; empty when it is about a programme or a source';

ALTER TABLE mentoring.delivery_log {on_cluster}
    ADD COLUMN IF NOT EXISTS subject_kind LowCardinality(String) DEFAULT 'relationship'
    COMMENT 'What the alert is about: relationship, programme, source' AFTER event_id;

ALTER TABLE mentoring.delivery_log {on_cluster}
    ADD COLUMN IF NOT EXISTS item UInt8
    COMMENT 'Which of the alerts that the message lists; 0: its first, which stands for the message' AFTER subject_kind;
