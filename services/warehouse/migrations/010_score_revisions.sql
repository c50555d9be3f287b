-- Every version of every row of score_history, the replaced and deleted ones too: what was known on a date.
-- ORDER BY: the versions of an instant lie together, oldest first; event_id tells those of one position apart.
-- PARTITION BY month of as_of, not of recording: a version that is sent twice must lie where the first one lies.
-- Engine: nothing ever replaces another version; only what is sent twice after a crash collapses into one row.
CREATE TABLE IF NOT EXISTS mentoring.score_revisions {on_cluster}
(
    tenant_id        LowCardinality(String) COMMENT 'The organisation',
    program_id       LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id  String CODEC(ZSTD(1)) COMMENT 'The mentoring relationship (pair or group)',
    as_of            DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'The instant that is scored',
    event_id         UUID COMMENT 'Hash of tenant, source and id of the score event',
    causes           Array(LowCardinality(String)) COMMENT 'Why there is a row at this instant',
    health           Int32 CODEC(ZSTD(1)) COMMENT 'Relationship health, 0 to 100 points, in millionths',
    band             Enum8('none' = 0, 'thriving' = 1, 'steady' = 2, 'strained' = 3, 'critical' = 4) COMMENT 'Band of health; none in a deleted row',
    caps             Array(LowCardinality(String)) COMMENT 'What holds the band at strained at the best: support_open, fit_not_good',
    risk             Int32 CODEC(ZSTD(1)) COMMENT 'Probability of no contact within the horizon, in millionths',
    factors          Map(LowCardinality(String), Int32) CODEC(ZSTD(1)) COMMENT 'Contribution of each factor, points in millionths; they sum to health',
    deltas           Map(LowCardinality(String), Int32) CODEC(ZSTD(1)) COMMENT 'Change of each contribution against before, points in millionths',
    factor_values    Map(LowCardinality(String), Int32) CODEC(ZSTD(1)) COMMENT 'Value of each factor, 0 to 1, in millionths',
    weights          Map(LowCardinality(String), Int32) CODEC(ZSTD(1)) COMMENT 'Weight of each factor in the profile, in millionths',
    risk_terms       Map(LowCardinality(String), Int32) CODEC(ZSTD(1)) COMMENT 'Terms of the linear predictor L, in millionths; risk = 1 / (1 + exp(-L))',
    before_as_of     DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'The row that deltas are measured against; 1970 when before_band is none',
    before_health    Int32 CODEC(ZSTD(1)) COMMENT 'Its health, in millionths',
    before_band      Enum8('none' = 0, 'thriving' = 1, 'steady' = 2, 'strained' = 3, 'critical' = 4) COMMENT 'Its band; none when there is no row before',
    before_risk      Int32 CODEC(ZSTD(1)) COMMENT 'Its risk, in millionths',
    confidence       Int32 CODEC(ZSTD(1)) COMMENT 'How much data the score stands on, 0 to 1, in millionths',
    trend            Int32 CODEC(ZSTD(1)) COMMENT 'Slope of health, points per four weeks, in millionths',
    status           Enum8('none' = 0, 'active' = 1, 'paused' = 2, 'ended' = 3) COMMENT 'Status of the relationship at as_of; none in a deleted row',
    started          DateTime64(6, 'UTC') CODEC(ZSTD(1)) COMMENT 'When the relationship started',
    cadence_days     Int32 CODEC(ZSTD(1)) COMMENT 'Expected days between sessions, in millionths',
    last_contact     DateTime64(6, 'UTC') CODEC(ZSTD(1)) COMMENT 'The latest contact; 1970 when there is none',
    next_session     DateTime64(6, 'UTC') CODEC(ZSTD(1)) COMMENT 'The next booked session; 1970 when there is none',
    open_requests    Array(String) CODEC(ZSTD(1)) COMMENT 'Support requests that nobody has resolved',
    sources          Array(LowCardinality(String)) COMMENT 'Feeds that the score depends on',
    calibrated       Bool COMMENT 'Whether risk was calibrated on the organisation''s own history',
    profile          LowCardinality(String) COMMENT 'Version of the scoring profile',
    model            LowCardinality(String) COMMENT 'Version of the model',
    calibration      LowCardinality(String) COMMENT 'Version of the calibration; empty when there is none',
    trigger_source   LowCardinality(String) COMMENT 'Source of the event that brought the row about; empty when time did',
    trigger_id       String CODEC(ZSTD(1)) COMMENT 'Its id',
    trigger_type     LowCardinality(String) COMMENT 'Its type',
    trigger_time     DateTime64(6, 'UTC') CODEC(ZSTD(1)) COMMENT 'When it happened',
    trigger_recorded DateTime64(6, 'UTC') CODEC(ZSTD(1)) COMMENT 'When it was recorded',
    kind             Enum8('changed' = 1, 'corrected' = 2) COMMENT 'changed: the newest row; corrected: a row of the past that is now known better',
    mode             Enum8('live' = 1, 'heal' = 2, 'replay' = 3) COMMENT 'Who computed the row',
    recorded_at      DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'recordedtime of the score event: the trigger''s, else as_of',
    position         UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Place on the log that the row knows: epoch << 48 | offset',
    version          UInt64 CODEC(Delta, ZSTD(1)) COMMENT '2 * position + 1 for mode heal: the greatest is valid, the others were before',
    is_deleted       UInt8 COMMENT '1: with this version the instant exists no more',
    log_partition    UInt16 CODEC(T64, ZSTD(1)) COMMENT 'Partition of mentoring.scores',
    log_offset       UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Offset in that partition',
    emitted_at       DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When scoring put it on the log, wall time; 1970 when its record has no time',
    inserted_at      DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the warehouse stored it',
    INDEX by_insertion inserted_at TYPE minmax GRANULARITY 1
)
ENGINE = {engine}ReplacingMergeTree
PARTITION BY toYYYYMM(as_of)
ORDER BY (tenant_id, program_id, relationship_id, as_of, version, event_id)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Every version of every score, append-only; read through mentoring_mart.score_versions';
