-- Which events of a relationship were recorded after a moment decides what was known of it then: of these events the first
-- position on the log is enough, and it is kept by month of recording. Without it every later event is read.
-- ORDER BY: a relationship's months in a row. No partitions: one row per relationship and month.
-- Engine: as that of `events`, the first on the log stays, so that a repeated insert changes nothing.
-- Rows of before are summarized by `rapport warehouse migrate`, after all migrations.
CREATE TABLE IF NOT EXISTS mentoring.recorded_monthly {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String CODEC(ZSTD(1)) COMMENT 'The mentoring relationship (pair or group)',
    month           Date COMMENT 'First day of the month in which Rapport recorded the events, UTC',
    version         UInt64 CODEC(Delta, ZSTD(1)) COMMENT '2^63 - position, of the first of these events on the log'
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (tenant_id, program_id, relationship_id, month)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Where on the log the events of each relationship begin, by the month in which they were recorded; read by mentoring_at.relationships_known_of';

-- Without the event of an erasure, which stays when all else of a relationship is deleted.
CREATE MATERIALIZED VIEW IF NOT EXISTS mentoring.to_recorded_monthly {on_cluster} TO mentoring.recorded_monthly
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    month           Date COMMENT 'First day of the month of recording, UTC',
    version         UInt64 COMMENT '2^63 - position of the first event'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, relationship_id, toStartOfMonth(recorded_at) AS month, max(e.version) AS version
FROM mentoring.events AS e
WHERE type != 'mentoring.relationship.erased.v1'
GROUP BY tenant_id, program_id, relationship_id, month
COMMENT 'Fills recorded_monthly from rows inserted into events';

-- Of the month of the moment itself, events are read: rows of a block were recorded about when they happened, so that
-- this index leaves out the blocks of all other months.
ALTER TABLE mentoring.events {on_cluster} ADD INDEX IF NOT EXISTS by_recording recorded_at TYPE minmax GRANULARITY 1;

-- In the background, for rows that are there already.
ALTER TABLE mentoring.events {on_cluster} MATERIALIZE INDEX by_recording;
