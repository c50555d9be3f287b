-- Programmes day by day, recomputed for the days that each batch touched. Days are UTC.
-- The score of a relationship on a day is its last undeleted row with as_of in that day. Scoring writes a row at every
-- midnight, so an active relationship has one each day; one without a row that day is paused, ended or unborn, and
-- is not counted.
-- ORDER BY: a programme's days in a row. No partitions: one row per programme and day.
-- Engine: the latest recomputation is valid; a day that has lost everything stays as a row of zeros.
CREATE TABLE IF NOT EXISTS mentoring.program_daily {on_cluster}
(
    tenant_id     LowCardinality(String) COMMENT 'The organisation',
    program_id    LowCardinality(String) COMMENT 'The mentoring programme',
    day           Date COMMENT 'UTC day',
    relationships UInt32 COMMENT 'Relationships whose last row of the day is active or paused; all figures of health, band and risk are of these last rows',
    active        UInt32 COMMENT 'Of these, active',
    ended         UInt32 COMMENT 'Relationships whose last row of the day is ended; counted nowhere else',
    sessions      UInt32 COMMENT 'Sessions held that began to count on this day (occurred_at of session.held)',
    health_p05    Int32 COMMENT 'Health, 5th percentile, interpolated, in millionths; 0 without relationships',
    health_p25    Int32 COMMENT 'Health, 25th percentile, in millionths',
    health_p50    Int32 COMMENT 'Health, median, in millionths',
    health_p75    Int32 COMMENT 'Health, 75th percentile, in millionths',
    health_p95    Int32 COMMENT 'Health, 95th percentile, in millionths',
    thriving      UInt32 COMMENT 'Relationships in band thriving',
    steady        UInt32 COMMENT 'Relationships in band steady',
    strained      UInt32 COMMENT 'Relationships in band strained',
    critical      UInt32 COMMENT 'Relationships in band critical',
    at_risk       UInt32 COMMENT 'Relationships with a risk of 0.70 or more',
    alerts        UInt32 COMMENT 'Alerts fired on this day, by event time',
    version       UInt64 COMMENT 'When it was recomputed, microseconds since 1970; grows with every recomputation'
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (tenant_id, program_id, day)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Every programme on every day it has scores, events or alerts; read with FINAL or through mentoring_mart.program_day';

-- How far the recomputation has come: everything stored two minutes before this instant is in the derived tables.
-- Engine and ORDER BY: the latest progress stays. No partitions: one row.
CREATE TABLE IF NOT EXISTS mentoring.recomputed {on_cluster}
(
    name String COMMENT 'Which recomputation: derived',
    upto UInt64 COMMENT 'Version of the last complete recomputation, microseconds since 1970'
)
ENGINE = {engine}ReplacingMergeTree(upto)
ORDER BY name
COMMENT 'Progress of the recomputation of relationship_state and program_daily';
