-- What is known of relationships and of the people in them, by pseudonymous keys.
CREATE OR REPLACE VIEW mentoring_mart.relationship_current {on_cluster}
(
    tenant_id        LowCardinality(String) COMMENT 'The organisation',
    program_id       LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id  String COMMENT 'The mentoring relationship (pair or group)',
    as_of            DateTime64(6, 'UTC') COMMENT 'Instant of its newest score',
    health           Float64 COMMENT 'Relationship health, 0 to 100 points',
    band             LowCardinality(String) COMMENT 'Band of health: thriving, steady, strained, critical',
    coordinator_band LowCardinality(String) COMMENT 'For coordinators: on track, needs attention (strained, critical, or a risk of 0.70 or more), too early to tell (confidence below 0.25)',
    caps             Nullable(String) COMMENT 'What holds the band at strained at the best: support_open, fit_not_good',
    risk             Float64 COMMENT 'Probability of no contact within the horizon, 0 to 1',
    confidence       Float64 COMMENT 'How much data the score stands on, 0 to 1',
    trend            Float64 COMMENT 'Slope of health, points per four weeks',
    status           LowCardinality(String) COMMENT 'Status of the relationship: active, paused, ended',
    started          DateTime64(6, 'UTC') COMMENT 'When the relationship started',
    cadence_days     Float64 COMMENT 'Expected days between sessions',
    last_contact     Nullable(DateTime64(6, 'UTC')) COMMENT 'The latest contact',
    silent_days      Nullable(Float64) COMMENT 'Days from the latest contact to as_of',
    next_session     Nullable(DateTime64(6, 'UTC')) COMMENT 'The next booked session',
    open_requests    UInt32 COMMENT 'Support requests that nobody has resolved',
    calibrated       Bool COMMENT 'Whether risk was calibrated on the organisation''s own history',
    profile          LowCardinality(String) COMMENT 'Version of the scoring profile',
    changed_at       DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, relationship_id, as_of, r.health / 1e6 AS health, toString(r.band) AS band,
    multiIf(r.confidence < 250000, 'too early to tell', r.band IN ('thriving', 'steady') AND r.risk < 700000, 'on track', 'needs attention') AS coordinator_band,
    nullIf(arrayStringConcat(r.caps, ', '), '') AS caps, r.risk / 1e6 AS risk, r.confidence / 1e6 AS confidence,
    r.trend / 1e6 AS trend, toString(r.status) AS status, started, r.cadence_days / 1e6 AS cadence_days,
    nullIf(r.last_contact, toDateTime64(0, 6, 'UTC')) AS last_contact,
    if(r.last_contact = toDateTime64(0, 6, 'UTC'), NULL, dateDiff('second', r.last_contact, as_of) / 86400) AS silent_days,
    nullIf(r.next_session, toDateTime64(0, 6, 'UTC')) AS next_session, length(r.open_requests) AS open_requests,
    calibrated, profile, fromUnixTimestamp64Micro(toInt64(r.version), 'UTC') AS changed_at
FROM mentoring.relationship_state AS r FINAL
COMMENT 'One row per relationship, its newest score';

CREATE OR REPLACE VIEW mentoring_mart.factor_costs {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    factor          LowCardinality(String) COMMENT 'The factor of health, or silence, which takes from all of them',
    as_of           DateTime64(6, 'UTC') COMMENT 'Instant of the newest score',
    points          Float64 COMMENT 'Its contribution to health now',
    most            Float64 COMMENT 'What it could contribute: its share of the weights of the factors with data, in points',
    cost            Float64 COMMENT 'Points that are missing because of it',
    status          LowCardinality(String) COMMENT 'Status of the relationship: active, paused, ended',
    changed_at      DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, relationship_id, factor, as_of, r.factors[factor] / 1e6 AS points,
    100 * r.weights[factor] / greatest(arraySum(mapValues(r.weights)), 1) AS most, most - points AS cost,
    toString(r.status) AS status, fromUnixTimestamp64Micro(toInt64(r.version), 'UTC') AS changed_at
FROM mentoring.relationship_state AS r FINAL
ARRAY JOIN mapKeys(r.factors) AS factor
COMMENT 'One row per relationship and factor: what each factor costs it now';

CREATE OR REPLACE VIEW mentoring_mart.relationships {on_cluster}
(
    tenant_id             LowCardinality(String) COMMENT 'The organisation',
    program_id            LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id       String COMMENT 'The mentoring relationship (pair or group)',
    declared              Bool COMMENT 'Whether anybody has told that it started; without, it is known by its events only',
    kind                  Nullable(String) COMMENT 'one_to_one, group, peer or reverse',
    mentors               UInt32 COMMENT 'How many mentors; who: relationship_people',
    mentees               UInt32 COMMENT 'How many mentees',
    coordinator           Nullable(String) COMMENT 'Pseudonymous key of its coordinator, or of its programme''s',
    cohort                Nullable(String) COMMENT 'Its cohort',
    cadence_days          Nullable(Float64) COMMENT 'Agreed days between sessions',
    planned_end           Nullable(Date) COMMENT 'When it is meant to end',
    started_at            Nullable(DateTime64(6, 'UTC')) COMMENT 'The first declared start',
    first_event_at        DateTime64(6, 'UTC') COMMENT 'Its first event',
    last_event_at         DateTime64(6, 'UTC') COMMENT 'Its last event',
    first_session_at      Nullable(DateTime64(6, 'UTC')) COMMENT 'Its first held session',
    last_session_at       Nullable(DateTime64(6, 'UTC')) COMMENT 'Its last held session',
    last_contact_at       Nullable(DateTime64(6, 'UTC')) COMMENT 'Its last held session or message',
    days_to_first_session Nullable(Float64) COMMENT 'From its declared start to its first held session',
    sessions              UInt32 COMMENT 'Held sessions',
    events                UInt32 COMMENT 'All events that stand',
    ended                 Bool COMMENT 'Whether it has ended',
    ended_at              Nullable(DateTime64(6, 'UTC')) COMMENT 'When it ended',
    end_planned           Nullable(Bool) COMMENT 'Whether the end was planned',
    end_reason            Nullable(String) COMMENT 'Code of the reason',
    end_initiated_by      Nullable(String) COMMENT 'Who ended it: mentor, mentee, admin, system',
    days_together         Nullable(Float64) COMMENT 'From its declared start to its end, or to its last event',
    changed_at            DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    r.tenant_id AS tenant_id, r.program_id AS program_id, relationship_id, declared, nullIf(toString(r.kind), '') AS kind,
    length(r.mentors) AS mentors, length(r.mentees) AS mentees,
    nullIf(if(r.coordinator = '', ifNull(p.coordinator, ''), r.coordinator), '') AS coordinator,
    nullIf(toString(r.cohort), '') AS cohort, nullIf(r.cadence_days, 0) AS cadence_days,
    nullIf(r.planned_end, toDate(0)) AS planned_end, nullIf(r.started_at, toDateTime64(0, 6, 'UTC')) AS started_at,
    first_event_at, last_event_at, nullIf(r.first_session_at, toDateTime64(0, 6, 'UTC')) AS first_session_at,
    nullIf(r.last_session_at, toDateTime64(0, 6, 'UTC')) AS last_session_at,
    nullIf(r.last_contact_at, toDateTime64(0, 6, 'UTC')) AS last_contact_at,
    dateDiff('second', started_at, first_session_at) / 86400 AS days_to_first_session, sessions, events,
    toBool(r.ended_at != toDateTime64(0, 6, 'UTC')) AS ended, nullIf(r.ended_at, toDateTime64(0, 6, 'UTC')) AS ended_at,
    if(ended, r.end_planned, NULL) AS end_planned, nullIf(toString(r.end_reason), '') AS end_reason,
    nullIf(toString(r.end_initiated_by), '') AS end_initiated_by,
    dateDiff('second', started_at, ifNull(ended_at, last_event_at)) / 86400 AS days_together,
    fromUnixTimestamp64Micro(toInt64(r.version), 'UTC') AS changed_at
FROM mentoring.relationships AS r FINAL
LEFT JOIN mentoring.programs AS p FINAL ON p.tenant_id = r.tenant_id AND p.program_id = r.program_id
SETTINGS join_use_nulls = 1
COMMENT 'One row per relationship: who, since when, how it went and how it ended';

CREATE OR REPLACE VIEW mentoring_mart.relationship_people {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    person          String COMMENT 'Pseudonymous key of the person',
    side            LowCardinality(String) COMMENT 'mentor or mentee',
    changed_at      DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, relationship_id, one.1 AS person, one.2 AS side,
    fromUnixTimestamp64Micro(toInt64(r.version), 'UTC') AS changed_at
FROM mentoring.relationships AS r FINAL
ARRAY JOIN arrayDistinct(arrayConcat(
    arrayMap(person -> (person, 'mentor'), r.mentors), arrayMap(person -> (person, 'mentee'), r.mentees)
)) AS one
COMMENT 'One row per relationship, person and side, as last declared';

CREATE OR REPLACE VIEW mentoring_mart.relationship_day {on_cluster}
(
    tenant_id        LowCardinality(String) COMMENT 'The organisation',
    program_id       LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id  String COMMENT 'The mentoring relationship (pair or group)',
    day              Date COMMENT 'UTC day',
    health           Nullable(Float64) COMMENT 'Health in the last score of the day; NULL without one',
    health_min       Nullable(Float64) COMMENT 'Least health of the day',
    health_max       Nullable(Float64) COMMENT 'Greatest health of the day',
    risk             Nullable(Float64) COMMENT 'Risk in the last score of the day',
    risk_max         Nullable(Float64) COMMENT 'Greatest risk of the day',
    band             Nullable(String) COMMENT 'Band in the last score of the day',
    coordinator_band Nullable(String) COMMENT 'For coordinators: on track, needs attention (strained, critical, or a risk of 0.70 or more), too early to tell (confidence below 0.25)',
    status           Nullable(String) COMMENT 'Status in the last score of the day: active, paused, ended',
    events           UInt32 COMMENT 'Events of the day that stand',
    sessions         UInt32 COMMENT 'Sessions held',
    messages         UInt32 COMMENT 'Messages sent, by either side',
    active           Bool COMMENT 'Whether there was a session or a message',
    changed_at       DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, relationship_id, day, if(scores = 0, NULL, d.health / 1e6) AS health,
    if(scores = 0, NULL, d.health_min / 1e6) AS health_min, if(scores = 0, NULL, d.health_max / 1e6) AS health_max,
    if(scores = 0, NULL, d.risk / 1e6) AS risk, if(scores = 0, NULL, d.risk_max / 1e6) AS risk_max,
    nullIf(toString(d.band), '') AS band,
    if(scores = 0, NULL, multiIf(d.confidence < 250000, 'too early to tell', d.band IN ('thriving', 'steady') AND d.risk < 700000, 'on track', 'needs attention')) AS coordinator_band,
    nullIf(toString(d.status), '') AS status, events, sessions, messages, toBool(sessions + messages > 0) AS active,
    fromUnixTimestamp64Micro(toInt64(d.version), 'UTC') AS changed_at
FROM mentoring.relationship_daily AS d FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per relationship and UTC day with scores or events';
