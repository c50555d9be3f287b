-- The log as a table.
-- ORDER BY: most questions name a tenant and programme, then a pair, then a time; event_id comes last and collapses repeats.
-- PARTITION BY month of event time: a batch is split by month, so that one insert touches one partition and is atomic.
-- Engine: of rows with the same key the one with the greatest version stays, which is the first on the log, as in scoring.
-- Deduplication windows: a block that the driver or the network sends twice is dropped by its token.
CREATE TABLE IF NOT EXISTS mentoring.events {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String CODEC(ZSTD(1)) COMMENT 'The mentoring relationship (pair or group)',
    occurred_at     DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When it happened',
    event_id        UUID COMMENT 'Hash of tenant, source and id: one row per event_id, type and time aside',
    type            LowCardinality(String) COMMENT 'What happened, for example mentoring.session.held.v1',
    source          LowCardinality(String) COMMENT 'The feed that told it',
    id              String CODEC(ZSTD(1)) COMMENT 'The id that the source gave it',
    recorded_at     DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When Rapport recorded it: with occurred_at it gives reads as of a date',
    actor           Enum8('mentor' = 1, 'mentee' = 2, 'admin' = 3, 'system' = 4) COMMENT 'Who did it',
    evidence        Enum8('observed' = 1, 'calendar' = 2, 'self_reported' = 3, 'inferred' = 4, 'admin' = 5) COMMENT 'How it is known',
    tool            LowCardinality(String) COMMENT 'The tool that keeps the original; empty when unknown',
    session_id      String CODEC(ZSTD(1)) COMMENT 'The meeting it is about; empty when it is about none',
    goal_id         String CODEC(ZSTD(1)) COMMENT 'The goal it is about; empty when it is about none',
    minutes         Float32 CODEC(ZSTD(1)) COMMENT 'Length of a held session; 0 when unknown',
    people          Array(String) CODEC(ZSTD(1)) COMMENT 'Pseudonymous keys of mentors and mentees, in relationship.started',
    payload         String CODEC(ZSTD(3)) COMMENT 'All data of the event as JSON: ids and codes, no free text',
    correlation_id  String CODEC(ZSTD(1)) COMMENT 'The input that belongs to the same matter; empty when unknown',
    position        UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Place on the log: epoch << 48 | offset; grows within a relationship',
    version         UInt64 CODEC(Delta, ZSTD(1)) COMMENT '2^63 - position: of repeats the first on the log is valid',
    log_partition   UInt16 CODEC(T64, ZSTD(1)) COMMENT 'Partition of mentoring.events',
    log_offset      UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Offset in that partition',
    inserted_at     DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the warehouse stored it',
    INDEX by_event_id event_id TYPE bloom_filter(0.01) GRANULARITY 2,
    INDEX by_person people TYPE bloom_filter(0.01) GRANULARITY 2,
    INDEX by_insertion inserted_at TYPE minmax GRANULARITY 1
)
ENGINE = {engine}ReplacingMergeTree(version)
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (tenant_id, program_id, relationship_id, occurred_at, event_id)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Every event of every relationship, as on the log; read with FINAL or through mentoring_mart.events';
