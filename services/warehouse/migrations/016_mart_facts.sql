-- The contract for data teams: one row per thing, numbers in points and probabilities, NULL where there is none, and no
-- column of a kind that tools for reports do not know (Map, Array, Enum). Views run with the rights of whoever made them
-- (SQL SECURITY DEFINER): a reader needs no right on the tables. A row never leaves its partition (its key holds the
-- time), so FINAL merges partition by partition. Days of a programme's zone are counted from its offsets to UTC, because
-- ClickHouse takes no time zone from a column.
CREATE OR REPLACE VIEW mentoring_mart.events {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    occurred_at     DateTime64(6, 'UTC') COMMENT 'When it happened',
    local_day       Date COMMENT 'Day in the zone of the programme; UTC where nobody described it',
    event_id        UUID COMMENT 'Identifies the event',
    type            LowCardinality(String) COMMENT 'What happened, for example mentoring.session.held.v1',
    source          LowCardinality(String) COMMENT 'The feed that told it',
    id              String COMMENT 'The id that the source gave it',
    recorded_at     DateTime64(6, 'UTC') COMMENT 'When Rapport recorded it',
    delay_seconds   Float64 COMMENT 'From happening to being recorded',
    actor           LowCardinality(String) COMMENT 'Who did it: mentor, mentee, admin, system',
    evidence        LowCardinality(String) COMMENT 'How it is known: observed, calendar, self_reported, inferred, admin',
    tool            Nullable(String) COMMENT 'The tool that keeps the original',
    session_id      Nullable(String) COMMENT 'The meeting it is about',
    goal_id         Nullable(String) COMMENT 'The goal it is about',
    minutes         Nullable(Float64) COMMENT 'Length of a held session',
    retracted       Bool COMMENT 'Whether a later event says that it stands no more',
    payload         String COMMENT 'All data of the event as JSON',
    changed_at      DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    e.tenant_id AS tenant_id, e.program_id AS program_id, relationship_id, occurred_at, toDate(addSeconds(occurred_at, p.offsets[arrayLastIndex(since -> since <= toUnixTimestamp(occurred_at), p.offsets_since)])) AS local_day,
    event_id, type, source, id, e.recorded_at AS recorded_at,
    dateDiff('microsecond', occurred_at, e.recorded_at) / 1e6 AS delay_seconds,
    toString(actor) AS actor, toString(evidence) AS evidence, nullIf(toString(e.tool), '') AS tool,
    nullIf(e.session_id, '') AS session_id, nullIf(e.goal_id, '') AS goal_id, toFloat64(nullIf(e.minutes, 0)) AS minutes,
    toBool((e.tenant_id, relationship_id, type, source, id, occurred_at) IN
    (
        SELECT
            tenant_id, relationship_id, JSONExtractString(payload, 'type'), JSONExtractString(payload, 'source'),
            JSONExtractString(payload, 'id'), parseDateTime64BestEffortOrZero(JSONExtractString(payload, 'time'), 6, 'UTC')
        FROM mentoring.events
        WHERE type = 'mentoring.event.retracted.v1'
    )) AS retracted,
    payload, e.inserted_at AS changed_at
FROM mentoring.events AS e FINAL
LEFT JOIN mentoring.programs AS p FINAL ON p.tenant_id = e.tenant_id AND p.program_id = e.program_id
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per event (event_id and occurred_at), every event of every relationship once';

CREATE OR REPLACE VIEW mentoring_mart.scores {on_cluster}
(
    tenant_id        LowCardinality(String) COMMENT 'The organisation',
    program_id       LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id  String COMMENT 'The mentoring relationship (pair or group)',
    as_of            DateTime64(6, 'UTC') COMMENT 'The instant that is scored',
    local_day        Date COMMENT 'Day in the zone of the programme; UTC where nobody described it',
    causes           String COMMENT 'Why there is a row at this instant, with commas between',
    health           Float64 COMMENT 'Relationship health, 0 to 100 points',
    band             LowCardinality(String) COMMENT 'Band of health: thriving, steady, strained, critical',
    coordinator_band LowCardinality(String) COMMENT 'For coordinators: on track, needs attention (strained, critical, or a risk of 0.70 or more), too early to tell (confidence below 0.25)',
    caps             Nullable(String) COMMENT 'What holds the band at strained at the best: support_open, fit_not_good',
    risk             Float64 COMMENT 'Probability of no contact within the horizon, 0 to 1',
    health_before    Nullable(Float64) COMMENT 'Health in the row before',
    band_before      Nullable(String) COMMENT 'Band in the row before',
    risk_before      Nullable(Float64) COMMENT 'Risk in the row before',
    confidence       Float64 COMMENT 'How much data the score stands on, 0 to 1',
    trend            Float64 COMMENT 'Slope of health, points per four weeks',
    status           LowCardinality(String) COMMENT 'Status of the relationship at as_of: active, paused, ended',
    started          DateTime64(6, 'UTC') COMMENT 'When the relationship started',
    cadence_days     Float64 COMMENT 'Expected days between sessions',
    last_contact     Nullable(DateTime64(6, 'UTC')) COMMENT 'The latest contact',
    next_session     Nullable(DateTime64(6, 'UTC')) COMMENT 'The next booked session',
    open_requests    UInt32 COMMENT 'Support requests that nobody has resolved',
    calibrated       Bool COMMENT 'Whether risk was calibrated on the organisation''s own history',
    profile          LowCardinality(String) COMMENT 'Version of the scoring profile',
    model            LowCardinality(String) COMMENT 'Version of the model',
    trigger_type     Nullable(String) COMMENT 'Type of the event that brought the row about; NULL when time did',
    trigger_id       Nullable(String) COMMENT 'Id of that event',
    recorded_at      DateTime64(6, 'UTC') COMMENT 'When what brought the row about was recorded',
    changed_at       DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    s.tenant_id AS tenant_id, s.program_id AS program_id, relationship_id, as_of, toDate(addSeconds(as_of, p.offsets[arrayLastIndex(since -> since <= toUnixTimestamp(as_of), p.offsets_since)])) AS local_day,
    arrayStringConcat(s.causes, ', ') AS causes, s.health / 1e6 AS health, toString(s.band) AS band,
    multiIf(s.confidence < 250000, 'too early to tell', s.band IN ('thriving', 'steady') AND s.risk < 700000, 'on track', 'needs attention') AS coordinator_band,
    nullIf(arrayStringConcat(s.caps, ', '), '') AS caps, s.risk / 1e6 AS risk,
    if(before_band = 'none', NULL, before_health / 1e6) AS health_before,
    if(before_band = 'none', NULL, toString(before_band)) AS band_before,
    if(before_band = 'none', NULL, before_risk / 1e6) AS risk_before,
    s.confidence / 1e6 AS confidence, s.trend / 1e6 AS trend, toString(s.status) AS status, s.started AS started,
    s.cadence_days / 1e6 AS cadence_days, nullIf(s.last_contact, toDateTime64(0, 6, 'UTC')) AS last_contact,
    nullIf(s.next_session, toDateTime64(0, 6, 'UTC')) AS next_session, length(s.open_requests) AS open_requests,
    calibrated, s.profile AS profile, model, nullIf(toString(s.trigger_type), '') AS trigger_type,
    nullIf(s.trigger_id, '') AS trigger_id, s.recorded_at AS recorded_at, s.inserted_at AS changed_at
FROM mentoring.score_history AS s FINAL
LEFT JOIN mentoring.programs AS p FINAL ON p.tenant_id = s.tenant_id AND p.program_id = s.program_id
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per relationship and scored instant (as_of), as it is known now';

CREATE OR REPLACE VIEW mentoring_mart.score_factors {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    as_of           DateTime64(6, 'UTC') COMMENT 'The instant that is scored',
    factor          LowCardinality(String) COMMENT 'The factor of health, or silence, which takes from all of them',
    points          Float64 COMMENT 'Its contribution; those of one instant sum to health',
    change          Float64 COMMENT 'Change of its contribution against the row before',
    value           Float64 COMMENT 'Its value, 0 to 1',
    weight          Float64 COMMENT 'Its weight in the profile',
    changed_at      DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, relationship_id, as_of, factor, s.factors[factor] / 1e6 AS points,
    s.deltas[factor] / 1e6 AS change, s.factor_values[factor] / 1e6 AS value, s.weights[factor] / 1e6 AS weight,
    s.inserted_at AS changed_at
FROM mentoring.score_history AS s FINAL
ARRAY JOIN mapKeys(s.factors) AS factor
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per relationship, scored instant (as_of) and factor, as it is known now';

-- What was known when. A row knows the relationship's events up to its position on the log: it was known when the last of
-- these was recorded. That holds of imported history and of healed rows too, and in a history whose clock is its log's.
-- Rows of the time before versions were kept are taken from score_history.
CREATE OR REPLACE VIEW mentoring_mart.score_versions {on_cluster}
(
    tenant_id        LowCardinality(String) COMMENT 'The organisation',
    program_id       LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id  String COMMENT 'The mentoring relationship (pair or group)',
    as_of            DateTime64(6, 'UTC') COMMENT 'The instant that is scored',
    version          UInt64 COMMENT 'Grows from version to version of this instant',
    known_from       DateTime64(6, 'UTC') COMMENT 'Since when this was known: when the newest event that it knows of was recorded, at the earliest as_of',
    known_to         Nullable(DateTime64(6, 'UTC')) COMMENT 'Until when; NULL while it is what is known',
    emitted_at       Nullable(DateTime64(6, 'UTC')) COMMENT 'When scoring put it on the log, wall time; NULL where only the table of now remembers it',
    mode             LowCardinality(String) COMMENT 'Who computed it: live, heal, replay',
    health           Float64 COMMENT 'Relationship health, 0 to 100 points',
    band             LowCardinality(String) COMMENT 'Band of health: thriving, steady, strained, critical',
    coordinator_band LowCardinality(String) COMMENT 'For coordinators: on track, needs attention (strained, critical, or a risk of 0.70 or more), too early to tell (confidence below 0.25)',
    risk             Float64 COMMENT 'Probability of no contact within the horizon, 0 to 1',
    confidence       Float64 COMMENT 'How much data the score stands on, 0 to 1',
    status           LowCardinality(String) COMMENT 'Status of the relationship at as_of: active, paused, ended',
    profile          LowCardinality(String) COMMENT 'Version of the scoring profile',
    changed_at       DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, relationship_id, as_of, version, known_from,
    nullIf(next_known, toDateTime64(0, 6, 'UTC')) AS known_to,
    nullIf(said.emitted_at, toDateTime64(0, 6, 'UTC')) AS emitted_at, said.mode AS mode, said.health / 1e6 AS health,
    said.band AS band, multiIf(said.confidence < 250000, 'too early to tell', said.band IN ('thriving', 'steady') AND said.risk < 700000, 'on track', 'needs attention') AS coordinator_band,
    said.risk / 1e6 AS risk, said.confidence / 1e6 AS confidence, said.status AS status, said.profile AS profile,
    said.inserted_at AS changed_at
FROM
(
    SELECT
        *,
        leadInFrame(known_from) OVER
        (
            PARTITION BY tenant_id, program_id, relationship_id, as_of ORDER BY version
            ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING
        ) AS next_known
    FROM
    (
        SELECT
            *,
            greatest(as_of, max(recorded_at) OVER
            (
                PARTITION BY tenant_id, program_id, relationship_id ORDER BY position, is_score
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            )) AS known_from
        FROM
        (
            SELECT
                tenant_id, program_id, relationship_id, as_of, version, max(row.position) AS position, 1 AS is_score,
                toDateTime64(0, 6, 'UTC') AS recorded_at, argMax(said, (rank, row.emitted_at)) AS said
            FROM
            (
                SELECT
                    tenant_id, program_id, relationship_id, as_of, version, position, emitted_at, 1 AS rank,
                    CAST((emitted_at, toString(mode), is_deleted, health, toString(band), risk, confidence,
                        toString(status), toString(profile), inserted_at), 'Tuple(emitted_at DateTime64(6, \'UTC\'),
                        mode String, is_deleted UInt8, health Int32, band String, risk Int32, confidence Int32,
                        status String, profile String, inserted_at DateTime64(6, \'UTC\'))') AS said
                FROM mentoring.score_revisions

                UNION ALL

                SELECT
                    tenant_id, program_id, relationship_id, as_of, version, position,
                    toDateTime64(0, 6, 'UTC') AS emitted_at, 0 AS rank,
                    CAST((emitted_at, toString(mode), is_deleted, health, toString(band), risk, confidence,
                        toString(status), toString(profile), inserted_at), 'Tuple(emitted_at DateTime64(6, \'UTC\'),
                        mode String, is_deleted UInt8, health Int32, band String, risk Int32, confidence Int32,
                        status String, profile String, inserted_at DateTime64(6, \'UTC\'))') AS said
                FROM mentoring.score_history
            ) AS row
            GROUP BY tenant_id, program_id, relationship_id, as_of, version

            UNION ALL

            SELECT
                tenant_id, program_id, relationship_id, toDateTime64(0, 6, 'UTC') AS as_of, 0 AS version, position,
                0 AS is_score, recorded_at,
                CAST((as_of, '', 0, 0, '', 0, 0, '', '', as_of), 'Tuple(emitted_at DateTime64(6, \'UTC\'),
                    mode String, is_deleted UInt8, health Int32, band String, risk Int32, confidence Int32,
                    status String, profile String, inserted_at DateTime64(6, \'UTC\'))') AS said
            FROM mentoring.events
        )
    )
    WHERE is_score = 1
)
WHERE said.is_deleted = 0 AND (next_known = toDateTime64(0, 6, 'UTC') OR next_known > known_from)
COMMENT 'One row per relationship, scored instant (as_of) and version: what was known of it, from when to when';
