-- The contract for data teams: views with FINAL inside, so that nobody sees a superseded or deleted row, and numbers
-- in points and probabilities instead of millionths. A row never leaves its partition (its key holds the time), so
-- FINAL merges partition by partition.
CREATE OR REPLACE VIEW mentoring_mart.events {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    occurred_at     DateTime64(6, 'UTC') COMMENT 'When it happened',
    event_id        UUID COMMENT 'Identifies the event',
    type            LowCardinality(String) COMMENT 'What happened, for example mentoring.session.held.v1',
    source          LowCardinality(String) COMMENT 'The feed that told it',
    id              String COMMENT 'The id that the source gave it',
    recorded_at     DateTime64(6, 'UTC') COMMENT 'When Rapport recorded it',
    actor           Enum8('mentor' = 1, 'mentee' = 2, 'admin' = 3, 'system' = 4) COMMENT 'Who did it',
    evidence        Enum8('observed' = 1, 'calendar' = 2, 'self_reported' = 3, 'inferred' = 4, 'admin' = 5) COMMENT 'How it is known',
    tool            LowCardinality(String) COMMENT 'The tool that keeps the original; empty when unknown',
    session_id      String COMMENT 'The meeting it is about; empty when it is about none',
    goal_id         String COMMENT 'The goal it is about; empty when it is about none',
    minutes         Float32 COMMENT 'Length of a held session; 0 when unknown',
    people          Array(String) COMMENT 'Pseudonymous keys of mentors and mentees, in relationship.started',
    payload         String COMMENT 'All data of the event as JSON'
)
AS SELECT
    tenant_id, program_id, relationship_id, occurred_at, event_id, type, source, id, recorded_at, actor, evidence, tool,
    session_id, goal_id, minutes, people, payload
FROM mentoring.events FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Every event of every relationship, once';

CREATE OR REPLACE VIEW mentoring_mart.scores {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    as_of           DateTime64(6, 'UTC') COMMENT 'The instant that is scored',
    causes          Array(LowCardinality(String)) COMMENT 'Why there is a row at this instant',
    health          Float64 COMMENT 'Relationship health, 0 to 100 points',
    band            Enum8('none' = 0, 'thriving' = 1, 'steady' = 2, 'strained' = 3, 'critical' = 4) COMMENT 'Band of health',
    risk            Float64 COMMENT 'Probability of no contact within the horizon, 0 to 1',
    factors         Map(LowCardinality(String), Float64) COMMENT 'Contribution of each factor in points; they sum to health',
    deltas          Map(LowCardinality(String), Float64) COMMENT 'Change of each contribution in points, against the row before',
    weights         Map(LowCardinality(String), Float64) COMMENT 'Weight of each factor in the profile',
    health_before   Float64 COMMENT 'Health in the row before; 0 when band_before is none',
    band_before     Enum8('none' = 0, 'thriving' = 1, 'steady' = 2, 'strained' = 3, 'critical' = 4) COMMENT 'Band in the row before; none when there is none',
    confidence      Float64 COMMENT 'How much data the score stands on, 0 to 1',
    trend           Float64 COMMENT 'Slope of health, points per four weeks',
    status          Enum8('none' = 0, 'active' = 1, 'paused' = 2, 'ended' = 3) COMMENT 'Status of the relationship at as_of',
    last_contact    DateTime64(6, 'UTC') COMMENT 'The latest contact; 1970 when there is none',
    calibrated      Bool COMMENT 'Whether risk was calibrated on the organisation''s own history',
    profile         LowCardinality(String) COMMENT 'Version of the scoring profile',
    trigger_type    LowCardinality(String) COMMENT 'Type of the event that brought the row about; empty when time did',
    trigger_id      String COMMENT 'Id of that event',
    recorded_at     DateTime64(6, 'UTC') COMMENT 'When what brought the row about was recorded'
)
AS SELECT
    tenant_id, program_id, relationship_id, as_of, causes,
    health / 1e6 AS health, band, risk / 1e6 AS risk,
    mapApply((name, points) -> (name, points / 1e6), factors) AS factors,
    mapApply((name, points) -> (name, points / 1e6), deltas) AS deltas,
    mapApply((name, weight) -> (name, weight / 1e6), weights) AS weights,
    before_health / 1e6 AS health_before, before_band AS band_before,
    confidence / 1e6 AS confidence, trend / 1e6 AS trend, status, last_contact, calibrated, profile,
    trigger_type, trigger_id, recorded_at
FROM mentoring.score_history FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Score of every relationship at every instant that exists, as it is known now';

CREATE OR REPLACE VIEW mentoring_mart.relationship_current {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    as_of           DateTime64(6, 'UTC') COMMENT 'Instant of its newest score',
    health          Float64 COMMENT 'Relationship health, 0 to 100 points',
    band            Enum8('none' = 0, 'thriving' = 1, 'steady' = 2, 'strained' = 3, 'critical' = 4) COMMENT 'Band of health',
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
    tenant_id, program_id, relationship_id, as_of, health / 1e6 AS health, band, risk / 1e6 AS risk,
    mapApply((name, points) -> (name, points / 1e6), factors) AS factors,
    mapApply((name, weight) -> (name, weight / 1e6), weights) AS weights,
    confidence / 1e6 AS confidence, trend / 1e6 AS trend, status, started, cadence_days / 1e6 AS cadence_days,
    last_contact, next_session, open_requests, calibrated, profile
FROM mentoring.relationship_state FINAL
COMMENT 'Newest score of every relationship';

CREATE OR REPLACE VIEW mentoring_mart.program_day {on_cluster}
(
    tenant_id     LowCardinality(String) COMMENT 'The organisation',
    program_id    LowCardinality(String) COMMENT 'The mentoring programme',
    day           Date COMMENT 'UTC day',
    relationships UInt32 COMMENT 'Relationships with a score that day, ended ones aside; figures are of the last score of the day',
    active        UInt32 COMMENT 'Of these, active',
    ended         UInt32 COMMENT 'Relationships that ended that day',
    sessions      UInt32 COMMENT 'Sessions held',
    health_p05    Float64 COMMENT 'Health, 5th percentile',
    health_p25    Float64 COMMENT 'Health, 25th percentile',
    health_median Float64 COMMENT 'Health, median',
    health_p75    Float64 COMMENT 'Health, 75th percentile',
    health_p95    Float64 COMMENT 'Health, 95th percentile',
    thriving      Float64 COMMENT 'Share of relationships in band thriving, 0 to 1',
    steady        Float64 COMMENT 'Share of relationships in band steady, 0 to 1',
    strained      Float64 COMMENT 'Share of relationships in band strained, 0 to 1',
    critical      Float64 COMMENT 'Share of relationships in band critical, 0 to 1',
    at_risk       UInt32 COMMENT 'Relationships with a risk of 0.70 or more',
    alerts        UInt32 COMMENT 'Alerts fired'
)
AS SELECT
    tenant_id, program_id, day, relationships, active, ended, sessions,
    health_p05 / 1e6 AS health_p05, health_p25 / 1e6 AS health_p25, health_p50 / 1e6 AS health_median,
    health_p75 / 1e6 AS health_p75, health_p95 / 1e6 AS health_p95,
    thriving / greatest(relationships, 1) AS thriving, steady / greatest(relationships, 1) AS steady,
    strained / greatest(relationships, 1) AS strained, critical / greatest(relationships, 1) AS critical,
    at_risk, alerts
FROM mentoring.program_daily FINAL
COMMENT 'Every programme on every day: size, health, bands, risk, alerts';

CREATE OR REPLACE VIEW mentoring_mart.alerts {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship that the alert is about',
    dedup_key       String COMMENT 'The episode: one row each',
    rule            LowCardinality(String) COMMENT 'The rule that decided',
    urgency         Enum8('P1' = 1, 'P2' = 2, 'P3' = 3) COMMENT 'As of its last transition: P1 now, P2 the same working day, P3 in the digest',
    fired_at        DateTime64(6, 'UTC') COMMENT 'When it fired, event time',
    resolved_at     DateTime64(6, 'UTC') COMMENT 'When it was resolved; 1970 while it is open',
    open            Bool COMMENT 'Whether it is still open',
    health          Float64 COMMENT 'Health when it fired',
    risk            Float64 COMMENT 'Risk when it fired',
    reasons         Map(LowCardinality(String), Float64) COMMENT 'What it was made of, points by name',
    summary         String COMMENT 'What people were told',
    not_sent        LowCardinality(String) COMMENT 'Why nobody was told that it fired; empty when people were'
)
AS SELECT
    tenant_id, program_id, relationship_id, dedup_key,
    any(a.rule) AS rule, argMax(a.urgency, (a.at, a.log_offset)) AS urgency,
    minIf(a.at, a.transition = 'fired') AS fired_at, maxIf(a.at, a.transition = 'resolved') AS resolved_at,
    countIf(a.transition = 'resolved') = 0 AS open,
    argMinIf(a.health, a.at, a.transition = 'fired') / 1e6 AS health,
    argMinIf(a.risk, a.at, a.transition = 'fired') / 1e6 AS risk,
    mapApply((name, points) -> (name, points / 1e6), argMinIf(a.reasons, a.at, a.transition = 'fired')) AS reasons,
    argMinIf(a.summary, a.at, a.transition = 'fired') AS summary,
    argMinIf(a.not_sent, a.at, a.transition = 'fired') AS not_sent
FROM mentoring.alert_log AS a FINAL
GROUP BY tenant_id, program_id, relationship_id, dedup_key
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Every episode of every alert: when it fired, when it was resolved, why';
