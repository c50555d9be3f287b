-- The same answers sooner. Of what was retracted few words are there, and in events_by_type they lie together.
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
        FROM mentoring.events_by_type
        WHERE type = 'mentoring.event.retracted.v1'
    )) AS retracted,
    payload, e.inserted_at AS changed_at
FROM mentoring.events AS e FINAL
LEFT JOIN mentoring.programs AS p FINAL ON p.tenant_id = e.tenant_id AND p.program_id = e.program_id
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per event (event_id and occurred_at), every event of every relationship once';

-- Written down whole: through mentoring_mart.alerts and alert_outcomes, which has them once more, ClickHouse took longer to
-- understand the question than to answer it.
CREATE OR REPLACE VIEW mentoring_mart.rule_precision {on_cluster}
(
    tenant_id                     LowCardinality(String) COMMENT 'The organisation',
    program_id                    LowCardinality(String) COMMENT 'The mentoring programme',
    rule                          LowCardinality(String) COMMENT 'The rule',
    alerts                        UInt64 COMMENT 'Episodes that fired, without those that were withdrawn',
    withdrawn                     UInt64 COMMENT 'Episodes that were withdrawn, because the events that they rested on were corrected',
    told                          UInt64 COMMENT 'Of the alerts, those that people were told of',
    acknowledged                  UInt64 COMMENT 'Of the alerts, those that somebody acknowledged or snoozed',
    median_minutes_to_acknowledge Nullable(Float64) COMMENT 'From the decision to the first acknowledgement or snooze, median',
    useful                        UInt64 COMMENT 'Alerts whose last vote says that they were useful',
    not_useful                    UInt64 COMMENT 'Alerts whose last vote says that they were not',
    precision_by_votes            Nullable(Float64) COMMENT 'useful among all with a vote, 0 to 1; NULL without votes',
    outcomes                      UInt64 COMMENT 'Alerts of relationships of which it is known what happened within the horizon',
    came_true                     UInt64 COMMENT 'Of these, those after which the relationship ended unplanned, or nobody met or wrote',
    precision_by_outcome          Nullable(Float64) COMMENT 'came_true among outcomes, 0 to 1; a lower bound where people act on what they are told',
    changed_at                    DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, rule, countIf(NOT one.withdrawn) AS alerts, countIf(one.withdrawn) AS withdrawn,
    countIf(NOT one.withdrawn AND was_told) AS told, countIf(NOT one.withdrawn AND isNotNull(acknowledged_at)) AS acknowledged,
    quantileExactInclusiveOrNullIf(0.5)(assumeNotNull(minutes), NOT one.withdrawn AND isNotNull(minutes))
        AS median_minutes_to_acknowledge,
    countIf(NOT one.withdrawn AND verdict = 'useful') AS useful, countIf(NOT one.withdrawn AND verdict = 'not_useful') AS not_useful,
    useful / nullIf(useful + not_useful, 0) AS precision_by_votes,
    countIf(isNotNull(one.came_true)) AS outcomes, countIf(ifNull(one.came_true, false)) AS came_true,
    came_true / nullIf(outcomes, 0) AS precision_by_outcome, max(one.changed_at) AS changed_at
FROM
(
    SELECT
        a.tenant_id AS tenant_id, a.program_id AS program_id, a.rule AS rule, a.withdrawn AS withdrawn,
        a.was_told AS was_told, h.acknowledged_at AS acknowledged_at, h.verdict AS verdict,
        dateDiff('second', a.decided_at, h.acknowledged_at) / 60 AS minutes,
        if(p.horizon_days > 0, p.horizon_days, 30) AS horizon_days,
        arrayExists(day -> day > toDate(a.fired_at) AND day <= toDate(a.fired_at) + horizon_days, c.days) AS met,
        r.ended_at > a.fired_at AND r.ended_at <= a.fired_at + toIntervalSecond(horizon_days * 86400) AND NOT r.end_planned
            AS ended_early,
        a.subject_kind = 'relationship' AND NOT a.withdrawn AS looked_at,
        if(looked_at, multiIf(ended_early, true, met, false, toDate(a.fired_at) + horizon_days <= known.last_day, true, NULL),
            NULL) AS came_true,
        greatest(a.changed_at, h.changed_at,
            fromUnixTimestamp64Micro(toInt64(if(looked_at, greatest(c.version, r.version), 0)), 'UTC')) AS changed_at
    FROM
    (
        SELECT
            tenant_id, program_id, dedup_key, toString(any(log.subject_kind)) AS subject_kind,
            any(log.relationship_id) AS relationship_id, any(log.rule) AS rule,
            minIf(log.at, log.transition = 'fired') AS fired_at, minIf(log.decided_at, log.transition = 'fired') AS decided_at,
            startsWith(argMaxIf(log.why, log.at, log.transition = 'resolved'), 'corrected') AS withdrawn,
            argMinIf(log.not_sent, log.at, log.transition = 'fired') = '' AS was_told, max(log.inserted_at) AS changed_at
        FROM mentoring.alert_log AS log FINAL
        GROUP BY tenant_id, program_id, dedup_key
        HAVING countIf(log.transition = 'fired') > 0
    ) AS a
    LEFT JOIN
    (
        SELECT
            tenant_id, dedup_key, minOrNullIf(acts.at, acts.act IN ('acknowledge', 'snooze')) AS acknowledged_at,
            toString(argMaxIf(acts.verdict, (acts.at, acts.log_offset), acts.verdict != '')) AS verdict,
            max(acts.inserted_at) AS changed_at
        FROM mentoring.alert_acts AS acts FINAL
        WHERE NOT acts.refused
        GROUP BY tenant_id, dedup_key
    ) AS h USING (tenant_id, dedup_key)
    LEFT JOIN
    (
        SELECT tenant_id, program_id, relationship_id, groupArray(day) AS days, max(version) AS version
        FROM mentoring.relationship_daily FINAL
        WHERE sessions + messages > 0
            AND (tenant_id, program_id, relationship_id) IN
                (SELECT tenant_id, program_id, relationship_id FROM mentoring.alert_log)
        GROUP BY tenant_id, program_id, relationship_id
    ) AS c ON c.tenant_id = a.tenant_id AND c.program_id = a.program_id AND c.relationship_id = a.relationship_id
    LEFT JOIN mentoring.relationships AS r FINAL
        ON r.tenant_id = a.tenant_id AND r.program_id = a.program_id AND r.relationship_id = a.relationship_id
    LEFT JOIN
    (
        SELECT tenant_id, program_id, max(day) AS last_day
        FROM mentoring.activity_daily FINAL
        GROUP BY tenant_id, program_id
    ) AS known ON known.tenant_id = a.tenant_id AND known.program_id = a.program_id
    LEFT JOIN mentoring.programs AS p FINAL ON p.tenant_id = a.tenant_id AND p.program_id = a.program_id
) AS one
GROUP BY tenant_id, program_id, rule
SETTINGS do_not_merge_across_partitions_select_final = 1, join_use_nulls = 0
COMMENT 'One row per programme and rule: how many alerts, how soon people look at them, how often the rule is right';
