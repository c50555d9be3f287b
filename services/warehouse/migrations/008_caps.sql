-- What holds the band of health at strained, whatever the points say. The column is there again on a re-run.
ALTER TABLE mentoring.score_history {on_cluster}
    ADD COLUMN IF NOT EXISTS caps Array(LowCardinality(String))
    COMMENT 'What holds the band at strained at the best: support_open, fit_not_good' AFTER band;

ALTER TABLE mentoring.relationship_state {on_cluster}
    ADD COLUMN IF NOT EXISTS caps Array(LowCardinality(String))
    COMMENT 'What holds the band at strained at the best: support_open, fit_not_good' AFTER band;

CREATE OR REPLACE VIEW mentoring_mart.relationship_current {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    as_of           DateTime64(6, 'UTC') COMMENT 'Instant of its newest score',
    health          Float64 COMMENT 'Relationship health, 0 to 100 points',
    band            Enum8('none' = 0, 'thriving' = 1, 'steady' = 2, 'strained' = 3, 'critical' = 4) COMMENT 'Band of health',
    caps            Array(LowCardinality(String)) COMMENT 'What holds the band at strained at the best: support_open, fit_not_good',
    risk            Float64 COMMENT 'Probability of no contact within the horizon, 0 to 1',
    factors         Map(LowCardinality(String), Float64) COMMENT 'Contribution of each factor in points; they sum to health',
    weights         Map(LowCardinality(String), Float64) COMMENT 'Weight of each factor in the profile',
    confidence      Float64 COMMENT 'How much data the score stands on, 0 to 1',
    trend           Float64 COMMENT 'Slope of health, points per four weeks',
    status          Enum8('none' = 0, 'active' = 1, 'paused' = 2, 'ended' = 3) COMMENT 'Status of the relationship',
    started         DateTime64(6, 'UTC') COMMENT 'When the relationship started',
    cadence_days    Float64 COMMENT 'Expected days between sessions',
    last_contact    DateTime64(6, 'UTC') COMMENT 'The latest contact; 1970 when there is none',
    next_session    DateTime64(6, 'UTC') COMMENT 'The next booked session; 1970 when there is none',
    open_requests   Array(String) COMMENT 'Support requests that nobody has resolved',
    calibrated      Bool COMMENT 'Whether risk was calibrated on the organisation''s own history',
    profile         LowCardinality(String) COMMENT 'Version of the scoring profile'
)
AS SELECT
    tenant_id, program_id, relationship_id, as_of, health / 1e6 AS health, band, caps, risk / 1e6 AS risk,
    mapApply((name, points) -> (name, points / 1e6), factors) AS factors,
    mapApply((name, weight) -> (name, weight / 1e6), weights) AS weights,
    confidence / 1e6 AS confidence, trend / 1e6 AS trend, status, started, cadence_days / 1e6 AS cadence_days,
    last_contact, next_session, open_requests, calibrated, profile
FROM mentoring.relationship_state FINAL
COMMENT 'Newest score of every relationship';
