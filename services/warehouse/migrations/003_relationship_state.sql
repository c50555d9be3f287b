-- The newest undeleted row of score_history, recomputed for the relationships that each batch touched.
-- A materialized view would not do: a corrected row of 09:00 must not beat that of 18:00, and a deleted one must go.
-- ORDER BY: one row per relationship stays. No partitions: one row per relationship, and a row moves in time.
-- Engine: the latest recomputation is valid; is_deleted takes a relationship away of which no row is left.
CREATE TABLE IF NOT EXISTS mentoring.relationship_state {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String CODEC(ZSTD(1)) COMMENT 'The mentoring relationship (pair or group)',
    as_of           DateTime64(6, 'UTC') COMMENT 'Instant of its newest score',
    health          Int32 COMMENT 'Health, 0 to 100 points, in millionths',
    band            Enum8('none' = 0, 'thriving' = 1, 'steady' = 2, 'strained' = 3, 'critical' = 4) COMMENT 'Band of health',
    risk            Int32 COMMENT 'Probability of no contact within the horizon, in millionths',
    factors         Map(LowCardinality(String), Int32) COMMENT 'Contribution of each factor, points in millionths; they sum to health',
    weights         Map(LowCardinality(String), Int32) COMMENT 'Weight of each factor in the profile, in millionths',
    confidence      Int32 COMMENT 'How much data the score stands on, 0 to 1, in millionths',
    trend           Int32 COMMENT 'Slope of health, points per four weeks, in millionths',
    status          Enum8('none' = 0, 'active' = 1, 'paused' = 2, 'ended' = 3) COMMENT 'Status of the relationship',
    started         DateTime64(6, 'UTC') COMMENT 'When the relationship started',
    cadence_days    Int32 COMMENT 'Expected days between sessions, in millionths',
    last_contact    DateTime64(6, 'UTC') COMMENT 'The latest contact; 1970 when there is none',
    next_session    DateTime64(6, 'UTC') COMMENT 'The next booked session; 1970 when there is none',
    open_requests   Array(String) COMMENT 'Support requests that nobody has resolved',
    calibrated      Bool COMMENT 'Whether risk was calibrated on the organisation''s own history',
    profile         LowCardinality(String) COMMENT 'Version of the scoring profile',
    position        UInt64 COMMENT 'Place on the log that the row knows: epoch << 48 | offset',
    version         UInt64 COMMENT 'When it was recomputed, microseconds since 1970; grows with every recomputation',
    is_deleted      UInt8 COMMENT '1: no score of this relationship is left'
)
ENGINE = {engine}ReplacingMergeTree(version, is_deleted)
ORDER BY (tenant_id, program_id, relationship_id)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Newest score of every relationship; read with FINAL or through mentoring_mart.relationship_current';
