-- What was decided, sent, refused and erased, and how good the data is.
CREATE OR REPLACE VIEW mentoring_mart.alerts {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    dedup_key       String COMMENT 'Names the episode',
    rule            LowCardinality(String) COMMENT 'The rule that decided',
    episode         UInt32 COMMENT 'Number of the episode of this rule and relationship, from 1',
    urgency         LowCardinality(String) COMMENT 'As of its last transition: P1 now, P2 the same working day, P3 in the digest',
    fired_at        DateTime64(6, 'UTC') COMMENT 'When it fired, event time',
    local_day       Date COMMENT 'Day of firing in the zone of the programme; UTC where nobody described it',
    escalated_at    Nullable(DateTime64(6, 'UTC')) COMMENT 'When it last became more urgent',
    resolved_at     Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was resolved',
    hours_open      Nullable(Float64) COMMENT 'From firing to resolving',
    open            Bool COMMENT 'Whether it is still open',
    why             String COMMENT 'Why it fired',
    resolved_why    Nullable(String) COMMENT 'Why it was resolved',
    health          Float64 COMMENT 'Health when it fired',
    risk            Float64 COMMENT 'Risk when it fired',
    summary         String COMMENT 'What people were told',
    next_step       String COMMENT 'What they were advised to do',
    not_sent        Nullable(String) COMMENT 'Why nobody was told that it fired',
    changed_at      DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    a.tenant_id AS tenant_id, a.program_id AS program_id, relationship_id, dedup_key, rule, episode, urgency, fired_at,
    toDate(addSeconds(fired_at, p.offsets[arrayLastIndex(since -> since <= toUnixTimestamp(fired_at), p.offsets_since)])) AS local_day, escalated_at, resolved_at,
    dateDiff('second', fired_at, resolved_at) / 3600 AS hours_open, toBool(isNull(resolved_at)) AS open, why, resolved_why,
    health, risk, summary, next_step, not_sent, a.changed_at AS changed_at
FROM
(
    SELECT
        tenant_id, program_id, relationship_id, dedup_key, any(log.rule) AS rule, any(log.episode) AS episode,
        toString(argMax(log.urgency, (log.at, log.log_offset))) AS urgency,
        minIf(log.at, log.transition = 'fired') AS fired_at,
        maxOrNullIf(log.at, log.transition = 'escalated') AS escalated_at,
        maxOrNullIf(log.at, log.transition = 'resolved') AS resolved_at,
        toString(argMinIf(log.why, log.at, log.transition = 'fired')) AS why,
        nullIf(toString(argMaxIf(log.why, log.at, log.transition = 'resolved')), '') AS resolved_why,
        argMinIf(log.health, log.at, log.transition = 'fired') / 1e6 AS health,
        argMinIf(log.risk, log.at, log.transition = 'fired') / 1e6 AS risk,
        argMinIf(log.summary, log.at, log.transition = 'fired') AS summary,
        argMinIf(log.next_step, log.at, log.transition = 'fired') AS next_step,
        nullIf(toString(argMinIf(log.not_sent, log.at, log.transition = 'fired')), '') AS not_sent,
        max(log.inserted_at) AS changed_at
    FROM mentoring.alert_log AS log FINAL
    GROUP BY tenant_id, program_id, relationship_id, dedup_key
    HAVING countIf(log.transition = 'fired') > 0
) AS a
LEFT JOIN mentoring.programs AS p FINAL ON p.tenant_id = a.tenant_id AND p.program_id = a.program_id
SETTINGS do_not_merge_across_partitions_select_final = 1, join_use_nulls = 0
COMMENT 'One row per episode of an alert (dedup_key): when it fired, when it was resolved, why';

CREATE OR REPLACE VIEW mentoring_mart.deliveries {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    delivery_id     String COMMENT 'Names one message to one recipient',
    dedup_key       String COMMENT 'The episode of the alert that it tells of',
    rule            LowCardinality(String) COMMENT 'The rule that decided',
    urgency         LowCardinality(String) COMMENT 'P1 now, P2 the same working day, P3 in the digest',
    transition      LowCardinality(String) COMMENT 'What of the alert it tells: fired, escalated, resolved',
    channel         LowCardinality(String) COMMENT 'By which channel',
    state           LowCardinality(String) COMMENT 'planned, started, delivered, dead',
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
    tenant_id, program_id, relationship_id, delivery_id, any(log.dedup_key) AS dedup_key, any(log.rule) AS rule,
    any(log.urgency) AS urgency, any(log.transition) AS transition, any(log.channel) AS channel,
    argMax(log.state, (log.changed_at, log.log_offset)) AS state, max(log.attempt) AS attempts,
    nullIf(toString(argMax(log.status, (log.changed_at, log.log_offset))), '') AS status,
    min(log.planned_at) AS planned_at, argMax(log.due_at, (log.changed_at, log.log_offset)) AS due_at,
    minOrNullIf(log.started_at, log.started_at > toDateTime64(0, 6, 'UTC')) AS started_at,
    minOrNullIf(log.changed_at, log.state = 'delivered') AS delivered_at,
    argMax(log.latency_ms, (log.changed_at, log.log_offset)) AS latency_ms, max(log.inserted_at) AS changed_at
FROM mentoring.delivery_log AS log FINAL
GROUP BY tenant_id, program_id, relationship_id, delivery_id
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per message to one recipient (delivery_id), in its newest state; recipients are not kept';

CREATE OR REPLACE VIEW mentoring_mart.data_quality {on_cluster}
(
    tenant_id  LowCardinality(String) COMMENT 'The organisation; empty for what belongs to no programme',
    program_id LowCardinality(String) COMMENT 'The mentoring programme; empty for what belongs to none',
    kind       LowCardinality(String) COMMENT 'undeclared: relationships of which nobody told that they started; late: events recorded more than a day after they happened; retracted: events taken back; stale: relationships whose newest score is two days older than their programme''s; rejected and strangers: inputs that were not let in, and of these those of people whom nobody knows; dead_letters: records that could not be stored',
    items      UInt64 COMMENT 'How many',
    of         UInt64 COMMENT 'Of how many',
    newest_at  Nullable(DateTime64(6, 'UTC')) COMMENT 'The newest of them',
    changed_at DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT tenant_id, program_id, kind, items, of, if(items = 0, NULL, nullIf(newest, toDateTime64(0, 6, 'UTC'))) AS newest_at, changed_at
FROM
(
    SELECT
        tenant_id, program_id, 'undeclared' AS kind, countIf(NOT declared) AS items, count() AS of,
        maxIf(last_event_at, NOT declared) AS newest,
        fromUnixTimestamp64Micro(toInt64(max(version)), 'UTC') AS changed_at
    FROM mentoring.relationships FINAL
    GROUP BY tenant_id, program_id

    UNION ALL

    SELECT
        tenant_id, program_id, 'late', sum(late), sum(events),
        toDateTime64(maxIf(day, late > 0), 6, 'UTC'), fromUnixTimestamp64Micro(toInt64(max(version)), 'UTC')
    FROM mentoring.activity_daily FINAL
    GROUP BY tenant_id, program_id

    UNION ALL

    SELECT
        tenant_id, program_id, 'retracted', countIf(type = 'mentoring.event.retracted.v1'), count(),
        maxIf(recorded_at, type = 'mentoring.event.retracted.v1'), max(inserted_at)
    FROM mentoring.events
    GROUP BY tenant_id, program_id

    UNION ALL

    SELECT
        tenant_id, program_id, 'stale', countIf(old), count(), maxIf(as_of, old),
        fromUnixTimestamp64Micro(toInt64(max(version)), 'UTC')
    FROM
    (
        SELECT
            *, status != 'ended' AND as_of < max(as_of) OVER (PARTITION BY tenant_id, program_id) - INTERVAL 2 DAY AS old
        FROM mentoring.relationship_state FINAL
    )
    GROUP BY tenant_id, program_id

    UNION ALL

    SELECT '', '', 'rejected', count(), count(), max(rejected_at), max(inserted_at)
    FROM mentoring.rejected FINAL
    WHERE NOT requeued
    HAVING count() > 0

    UNION ALL

    SELECT
        '', '', 'strangers', countIf(reason = 'unresolved'), count(), maxIf(rejected_at, reason = 'unresolved'),
        max(inserted_at)
    FROM mentoring.rejected FINAL
    WHERE NOT requeued
    HAVING count() > 0

    UNION ALL

    SELECT '', '', 'dead_letters', count(), count(), max(failed_at), max(failed_at) FROM mentoring.dead_letter FINAL
    HAVING count() > 0
) AS flaw
COMMENT 'One row per programme and kind of flaw: how much of the data has it';

CREATE OR REPLACE VIEW mentoring_mart.rejected_inputs {on_cluster}
(
    origin_topic     LowCardinality(String) COMMENT 'Topic of the original',
    origin_partition UInt32 COMMENT 'Its partition',
    origin_offset    UInt64 COMMENT 'Its offset',
    part             UInt32 COMMENT 'Which of its payloads; 0 when it is one',
    reason           LowCardinality(String) COMMENT 'Why: a word of the admission, for example invalid, unresolved, conflict',
    path             Nullable(String) COMMENT 'Where in the input; ? for names that are none of ours',
    tool             LowCardinality(String) COMMENT 'By which tool it came; other when it is none of ours',
    size             UInt64 COMMENT 'Bytes of the original',
    sha256           String COMMENT 'SHA-256 of what is kept of it, hex',
    rejected_at      Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was set aside',
    requeued_at      Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was sent again',
    changed_at       DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    origin_topic, origin_partition, origin_offset, part, anyIf(r.reason, NOT r.requeued) AS reason,
    nullIf(anyIf(r.path, NOT r.requeued), '') AS path, anyIf(r.tool, NOT r.requeued) AS tool,
    anyIf(r.size, NOT r.requeued) AS size, anyIf(r.sha256, NOT r.requeued) AS sha256,
    nullIf(maxIf(r.rejected_at, NOT r.requeued), toDateTime64(0, 6, 'UTC')) AS rejected_at,
    maxOrNullIf(r.rejected_at, r.requeued) AS requeued_at, max(r.inserted_at) AS changed_at
FROM mentoring.rejected AS r FINAL
GROUP BY origin_topic, origin_partition, origin_offset, part
HAVING countIf(NOT r.requeued) > 0
COMMENT 'One row per input that was not let in (its origin and part); kept for 30 days';

CREATE OR REPLACE VIEW mentoring_mart.dead_letters {on_cluster}
(
    topic         LowCardinality(String) COMMENT 'Topic of the record',
    log_partition UInt16 COMMENT 'Its partition',
    log_offset    UInt64 COMMENT 'Its offset',
    reason        String COMMENT 'Why it was refused: a word of the validator, or the error code of ClickHouse',
    path          Nullable(String) COMMENT 'Where in the record',
    size          UInt64 COMMENT 'Bytes of its value',
    sha256        String COMMENT 'SHA-256 of its value, hex',
    changed_at    DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT topic, log_partition, log_offset, reason, nullIf(d.path, '') AS path, size, sha256, d.failed_at AS changed_at
FROM mentoring.dead_letter AS d FINAL
COMMENT 'One row per record that the warehouse could not store; kept for 30 days';

CREATE OR REPLACE VIEW mentoring_mart.erasures {on_cluster}
(
    tenant_id     LowCardinality(String) COMMENT 'The organisation',
    erased_at     DateTime64(6, 'UTC') COMMENT 'When the pass was done',
    table_name    LowCardinality(String) COMMENT 'From which table',
    relationships UInt64 COMMENT 'Relationships of which rows were there',
    rows          UInt64 COMMENT 'Rows, replaced ones too',
    changed_at    DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT tenant_id, erased_at, table_name, relationships, rows, e.erased_at AS changed_at
FROM mentoring.erasure_log AS e FINAL
COMMENT 'One row per organisation, pass of erasing and table: how much was deleted; no ids';
