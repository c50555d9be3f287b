-- Alerts and messages about them, what people did, and how often a rule is right. An episode that was withdrawn, because
-- the events that it rested on were corrected, is marked and counted nowhere. notify says so by a reason that begins
-- with "corrected".
CREATE OR REPLACE VIEW mentoring_mart.alerts {on_cluster}
(
    tenant_id              LowCardinality(String) COMMENT 'The organisation',
    program_id             LowCardinality(String) COMMENT 'The mentoring programme',
    subject_kind           LowCardinality(String) COMMENT 'What it is about: relationship, programme, source',
    subject                String COMMENT 'Its id',
    relationship_id        Nullable(String) COMMENT 'The mentoring relationship (pair or group); NULL when it is about a programme or a source',
    dedup_key              String COMMENT 'Names the episode',
    rule                   LowCardinality(String) COMMENT 'The rule that decided',
    episode                UInt32 COMMENT 'Number of the episode of this rule and subject, from 1',
    urgency                LowCardinality(String) COMMENT 'As of its last transition: P1 now, P2 the same working day, P3 in the digest',
    fired_at               DateTime64(6, 'UTC') COMMENT 'When it fired, event time',
    local_day              Date COMMENT 'Day of firing in the zone of the programme; UTC where nobody described it',
    decided_at             DateTime64(6, 'UTC') COMMENT 'When it was decided that it fired, wall time',
    escalated_at           Nullable(DateTime64(6, 'UTC')) COMMENT 'When it last became more urgent',
    acknowledged_at        Nullable(DateTime64(6, 'UTC')) COMMENT 'When somebody first acknowledged or snoozed it, wall time',
    minutes_to_acknowledge Nullable(Float64) COMMENT 'From decided_at to acknowledged_at',
    resolved_at            Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was resolved',
    hours_open             Nullable(Float64) COMMENT 'From firing to resolving',
    open                   Bool COMMENT 'Whether it is still open',
    withdrawn              Bool COMMENT 'Whether it was never so: the events that it rested on were corrected; it is to be counted nowhere',
    why                    String COMMENT 'Why it fired',
    resolved_why           Nullable(String) COMMENT 'Why it was resolved',
    health                 Nullable(Float64) COMMENT 'Health when it fired; NULL when it is about a programme or a source',
    risk                   Nullable(Float64) COMMENT 'Risk when it fired',
    calibrated             Nullable(Bool) COMMENT 'Whether that risk was calibrated on the organisation''s own history',
    summary                String COMMENT 'What people were told',
    next_step              String COMMENT 'What they were advised to do',
    not_sent               Nullable(String) COMMENT 'Why nobody was told that it fired',
    verdict                Nullable(String) COMMENT 'The last vote on it: useful, not_useful',
    closing                Nullable(String) COMMENT 'What became of it, as the last vote says',
    changed_at             DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    a.tenant_id AS tenant_id, a.program_id AS program_id, subject_kind, subject, relationship_id, dedup_key, rule, episode,
    urgency, fired_at,
    toDate(addSeconds(fired_at, p.offsets[arrayLastIndex(since -> since <= toUnixTimestamp(fired_at), p.offsets_since)])) AS local_day,
    decided_at, escalated_at, acknowledged_at, dateDiff('second', decided_at, acknowledged_at) / 60 AS minutes_to_acknowledge,
    resolved_at, dateDiff('second', fired_at, resolved_at) / 3600 AS hours_open, toBool(isNull(resolved_at)) AS open,
    toBool(ifNull(startsWith(resolved_why, 'corrected'), false)) AS withdrawn, why, resolved_why,
    health, risk, a.calibrated AS calibrated, summary, next_step, not_sent, verdict, closing,
    greatest(a.changed_at, h.changed_at) AS changed_at
FROM
(
    SELECT
        tenant_id, program_id, dedup_key, toString(any(log.subject_kind)) AS subject_kind, any(log.subject) AS subject,
        nullIf(any(log.relationship_id), '') AS relationship_id, any(log.rule) AS rule, any(log.episode) AS episode,
        toString(argMax(log.urgency, (log.at, log.log_offset))) AS urgency,
        minIf(log.at, log.transition = 'fired') AS fired_at,
        minIf(log.decided_at, log.transition = 'fired') AS decided_at,
        maxOrNullIf(log.at, log.transition = 'escalated') AS escalated_at,
        maxOrNullIf(log.at, log.transition = 'resolved') AS resolved_at,
        toString(argMinIf(log.why, log.at, log.transition = 'fired')) AS why,
        nullIf(toString(argMaxIf(log.why, log.at, log.transition = 'resolved')), '') AS resolved_why,
        argMinIf(log.band, log.at, log.transition = 'fired') = 'none' AS without_reading,
        if(without_reading, NULL, argMinIf(log.health, log.at, log.transition = 'fired') / 1e6) AS health,
        if(without_reading, NULL, argMinIf(log.risk, log.at, log.transition = 'fired') / 1e6) AS risk,
        if(without_reading, NULL, argMinIf(log.calibrated, log.at, log.transition = 'fired')) AS calibrated,
        argMinIf(log.summary, log.at, log.transition = 'fired') AS summary,
        argMinIf(log.next_step, log.at, log.transition = 'fired') AS next_step,
        nullIf(toString(argMinIf(log.not_sent, log.at, log.transition = 'fired')), '') AS not_sent,
        max(log.inserted_at) AS changed_at
    FROM mentoring.alert_log AS log FINAL
    GROUP BY tenant_id, program_id, dedup_key
    HAVING countIf(log.transition = 'fired') > 0
) AS a
LEFT JOIN
(
    SELECT
        tenant_id, dedup_key, minOrNullIf(acts.at, acts.act IN ('acknowledge', 'snooze')) AS acknowledged_at,
        nullIf(toString(argMaxIf(acts.verdict, (acts.at, acts.log_offset), acts.verdict != '')), '') AS verdict,
        nullIf(toString(argMaxIf(acts.closing, (acts.at, acts.log_offset), acts.verdict != '')), '') AS closing,
        max(acts.inserted_at) AS changed_at
    FROM mentoring.alert_acts AS acts FINAL
    WHERE NOT acts.refused
    GROUP BY tenant_id, dedup_key
) AS h USING (tenant_id, dedup_key)
LEFT JOIN mentoring.programs AS p FINAL ON p.tenant_id = a.tenant_id AND p.program_id = a.program_id
SETTINGS do_not_merge_across_partitions_select_final = 1, join_use_nulls = 0
COMMENT 'One row per episode of an alert (dedup_key): when it fired, was acknowledged and resolved, why, and what people made of it';

CREATE OR REPLACE VIEW mentoring_mart.alert_acts {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    subject_kind    LowCardinality(String) COMMENT 'What the alert is about: relationship, programme, source',
    subject         String COMMENT 'Its id',
    relationship_id Nullable(String) COMMENT 'The mentoring relationship (pair or group); NULL when it is about a programme or a source',
    event_id        UUID COMMENT 'Identifies the act',
    dedup_key       String COMMENT 'The episode of the alert',
    rule            LowCardinality(String) COMMENT 'The rule that decided',
    acted_at        DateTime64(6, 'UTC') COMMENT 'When it was done, wall time',
    act             LowCardinality(String) COMMENT 'What was done: acknowledge, unacknowledge, snooze, assign, note, vote; by whom is not kept',
    state           LowCardinality(String) COMMENT 'How the alert is handled since: open, acknowledged, snoozed',
    until           Nullable(DateTime64(6, 'UTC')) COMMENT 'Until when',
    assigned        Bool COMMENT 'Whether somebody has it since',
    verdict         Nullable(String) COMMENT 'The vote: useful, not_useful',
    closing         Nullable(String) COMMENT 'What became of it, as the vote says',
    refused         Bool COMMENT 'Whether it was refused and changed nothing',
    changed_at      DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, subject_kind, subject, nullIf(a.relationship_id, '') AS relationship_id, event_id, dedup_key, rule,
    a.at AS acted_at, act, state, nullIf(a.until, toDateTime64(0, 6, 'UTC')) AS until, assigned,
    nullIf(toString(a.verdict), '') AS verdict, nullIf(toString(a.closing), '') AS closing, refused,
    a.inserted_at AS changed_at
FROM mentoring.alert_acts AS a FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per act of a person on an alert (event_id)';

CREATE OR REPLACE VIEW mentoring_mart.deliveries {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id Nullable(String) COMMENT 'The mentoring relationship of the first alert; NULL when that is about a programme or a source',
    delivery_id     String COMMENT 'Names one message to one recipient',
    dedup_key       String COMMENT 'The episode of the first alert that it tells of; all of them: delivery_alerts',
    rule            LowCardinality(String) COMMENT 'The rule that decided',
    urgency         LowCardinality(String) COMMENT 'P1 now, P2 the same working day, P3 in the digest',
    transition      LowCardinality(String) COMMENT 'What of the alert it tells: fired, escalated, resolved, reminded, unstable',
    channel         LowCardinality(String) COMMENT 'By which channel',
    state           LowCardinality(String) COMMENT 'planned, held, started, unknown, delivered, dead, superseded',
    attempts        UInt32 COMMENT 'Attempts so far',
    status          Nullable(String) COMMENT 'What the channel answered',
    planned_at      DateTime64(6, 'UTC') COMMENT 'When it was planned',
    due_at          DateTime64(6, 'UTC') COMMENT 'Not to be sent before',
    started_at      Nullable(DateTime64(6, 'UTC')) COMMENT 'The first attempt',
    delivered_at    Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was delivered',
    latency_ms      UInt32 COMMENT 'Of the last attempt',
    changed_at      DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, nullIf(any(log.relationship_id), '') AS relationship_id, delivery_id,
    any(log.dedup_key) AS dedup_key, any(log.rule) AS rule,
    any(log.urgency) AS urgency, any(log.transition) AS transition, any(log.channel) AS channel,
    argMax(log.state, (log.changed_at, log.log_offset)) AS state, max(log.attempt) AS attempts,
    nullIf(toString(argMax(log.status, (log.changed_at, log.log_offset))), '') AS status,
    min(log.planned_at) AS planned_at, argMax(log.due_at, (log.changed_at, log.log_offset)) AS due_at,
    minOrNullIf(log.started_at, log.started_at > toDateTime64(0, 6, 'UTC')) AS started_at,
    minOrNullIf(log.changed_at, log.state = 'delivered') AS delivered_at,
    argMax(log.latency_ms, (log.changed_at, log.log_offset)) AS latency_ms, max(log.inserted_at) AS changed_at
FROM mentoring.delivery_log AS log FINAL
WHERE log.item = 0
GROUP BY tenant_id, program_id, delivery_id
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per message to one recipient (delivery_id), in its newest state; recipients are not kept';

CREATE OR REPLACE VIEW mentoring_mart.delivery_alerts {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id Nullable(String) COMMENT 'The mentoring relationship (pair or group); NULL when the alert is about a programme or a source',
    delivery_id     String COMMENT 'Names one message to one recipient',
    dedup_key       String COMMENT 'An episode that it tells of',
    rule            LowCardinality(String) COMMENT 'The rule that decided',
    transition      LowCardinality(String) COMMENT 'What of the alert it tells: fired, escalated, resolved, reminded, unstable',
    channel         LowCardinality(String) COMMENT 'By which channel',
    planned_at      DateTime64(6, 'UTC') COMMENT 'When the message was planned',
    delivered_at    Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was delivered',
    changed_at      DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, nullIf(any(log.relationship_id), '') AS relationship_id, delivery_id, dedup_key,
    any(log.rule) AS rule, any(log.transition) AS transition, any(log.channel) AS channel, min(log.planned_at) AS planned_at,
    minOrNullIf(log.changed_at, log.state = 'delivered') AS delivered_at, max(log.inserted_at) AS changed_at
FROM mentoring.delivery_log AS log FINAL
GROUP BY tenant_id, program_id, delivery_id, dedup_key
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per message to one recipient and episode of an alert that it tells of';

CREATE OR REPLACE VIEW mentoring_mart.alert_outcomes {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    dedup_key       String COMMENT 'Names the episode of the alert',
    rule            LowCardinality(String) COMMENT 'The rule that decided',
    fired_at        DateTime64(6, 'UTC') COMMENT 'When it fired, event time',
    horizon_days    Float64 COMMENT 'For how long afterwards it is looked at what happened: the horizon of the programme''s risk, or 30 days',
    told            Bool COMMENT 'Whether people were told: what they do then may keep away what it warns of',
    acknowledged    Bool COMMENT 'Whether somebody acknowledged or snoozed it',
    verdict         Nullable(String) COMMENT 'The last vote on it: useful, not_useful',
    next_contact    Nullable(Date) COMMENT 'The first day after that of firing with a session or a message, within the horizon',
    ended_early     Bool COMMENT 'Whether the relationship ended unplanned within the horizon',
    came_true       Nullable(Bool) COMMENT 'Whether it ended unplanned, or nobody met or wrote, within the horizon; NULL while that is not known yet',
    changed_at      DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    a.tenant_id AS tenant_id, a.program_id AS program_id, assumeNotNull(a.relationship_id) AS relationship_id, dedup_key,
    rule, fired_at, if(p.horizon_days > 0, p.horizon_days, 30) AS horizon_days, toBool(isNull(not_sent)) AS told,
    toBool(isNotNull(acknowledged_at)) AS acknowledged, verdict,
    arrayFirstOrNull(day -> day > toDate(fired_at) AND day <= toDate(fired_at) + horizon_days, c.days) AS next_contact,
    toBool(r.ended_at > fired_at AND r.ended_at <= fired_at + toIntervalSecond(horizon_days * 86400) AND NOT r.end_planned)
        AS ended_early,
    multiIf(ended_early, true, isNotNull(next_contact), false,
        toDate(fired_at) + horizon_days <= known.last_day, true, NULL) AS came_true,
    greatest(a.changed_at, fromUnixTimestamp64Micro(toInt64(greatest(c.version, r.version)), 'UTC')) AS changed_at
FROM mentoring_mart.alerts AS a
LEFT JOIN
(
    SELECT tenant_id, program_id, relationship_id, arraySort(groupArray(day)) AS days, max(version) AS version
    FROM mentoring.relationship_daily FINAL
    WHERE sessions + messages > 0
        AND (tenant_id, program_id, relationship_id) IN (SELECT tenant_id, program_id, relationship_id FROM mentoring.alert_log)
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
WHERE a.subject_kind = 'relationship' AND NOT withdrawn
SETTINGS join_use_nulls = 0
COMMENT 'One row per episode of an alert about a relationship that was not withdrawn: what happened within the horizon after it fired';

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
    tenant_id, program_id, rule, countIf(NOT a.withdrawn) AS alerts, countIf(a.withdrawn) AS withdrawn,
    countIf(NOT a.withdrawn AND isNull(a.not_sent)) AS told,
    countIf(NOT a.withdrawn AND isNotNull(a.acknowledged_at)) AS acknowledged,
    quantileExactInclusiveOrNullIf(0.5)(assumeNotNull(a.minutes_to_acknowledge),
        NOT a.withdrawn AND isNotNull(a.minutes_to_acknowledge)) AS median_minutes_to_acknowledge,
    countIf(NOT a.withdrawn AND ifNull(a.verdict, '') = 'useful') AS useful,
    countIf(NOT a.withdrawn AND ifNull(a.verdict, '') = 'not_useful') AS not_useful,
    useful / nullIf(useful + not_useful, 0) AS precision_by_votes,
    countIf(isNotNull(o.came_true)) AS outcomes, countIf(ifNull(o.came_true, false)) AS came_true,
    came_true / nullIf(outcomes, 0) AS precision_by_outcome, max(greatest(a.changed_at, o.changed_at)) AS changed_at
FROM mentoring_mart.alerts AS a
LEFT JOIN
(
    SELECT tenant_id, program_id, dedup_key, came_true, changed_at FROM mentoring_mart.alert_outcomes
) AS o USING (tenant_id, program_id, dedup_key)
GROUP BY tenant_id, program_id, rule
SETTINGS join_use_nulls = 0
COMMENT 'One row per programme and rule: how many alerts, how soon people look at them, how often the rule is right';
