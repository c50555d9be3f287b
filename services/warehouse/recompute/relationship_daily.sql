-- The relationship days with rows stored since an instant (microseconds of the server clock), on the given programme
-- days. From the beginning of time, existing rows are included, because they may have to be deleted.
INSERT INTO mentoring.relationship_daily
(
    tenant_id, program_id, day, relationship_id, scores, health, health_min, health_max, risk, risk_max, confidence,
    band, status, events, sessions, messages, version, is_deleted
)
WITH
    days AS
    (
        SELECT key.1 AS tenant_id, key.2 AS program_id, toDate(key.3) AS day FROM (SELECT arrayJoin(%(days)s) AS key)
    ),
    touched AS
    (
        SELECT DISTINCT tenant_id, program_id, day, relationship_id
        FROM
        (
            SELECT tenant_id, program_id, toDate(as_of) AS day, relationship_id
            FROM mentoring.score_history
            WHERE toYYYYMM(as_of) IN %(months)s
                AND inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')
                AND (tenant_id, program_id, toDate(as_of)) IN (SELECT tenant_id, program_id, day FROM days)

            UNION ALL

            SELECT tenant_id, program_id, toDate(occurred_at) AS day, relationship_id
            FROM mentoring.events
            WHERE toYYYYMM(occurred_at) IN %(months)s
                AND inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')
                AND (tenant_id, program_id, toDate(occurred_at)) IN (SELECT tenant_id, program_id, day FROM days)

            UNION ALL

            SELECT
                tenant_id, program_id,
                toDate(parseDateTime64BestEffortOrZero(JSONExtractString(payload, 'time'), 6, 'UTC')) AS day,
                relationship_id
            FROM mentoring.events
            WHERE type = 'mentoring.event.retracted.v1'
                AND inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')
                AND (tenant_id, program_id, day) IN (SELECT tenant_id, program_id, day FROM days)

            UNION ALL

            SELECT tenant_id, program_id, day, relationship_id
            FROM mentoring.relationship_daily
            WHERE %(since)s = 0 AND toYYYYMM(day) IN %(months)s
                AND (tenant_id, program_id, day) IN (SELECT tenant_id, program_id, day FROM days)
        )
        -- Nothing is written for an erased relationship, not even a deletion marker.
        WHERE (tenant_id, relationship_id) NOT IN (SELECT tenant_id, relationship_id FROM mentoring.erased)
    ),
    scored AS
    (
        SELECT
            tenant_id, program_id, relationship_id, toDate(as_of) AS day, count() AS scores,
            argMax(history.health, history.as_of) AS health, min(history.health) AS health_min,
            max(history.health) AS health_max,
            argMax(history.risk, history.as_of) AS risk, max(history.risk) AS risk_max,
            argMax(history.confidence, history.as_of) AS confidence,
            argMax(toString(history.band), history.as_of) AS band,
            argMax(toString(history.status), history.as_of) AS status
        FROM mentoring.score_history AS history FINAL
        WHERE toYYYYMM(as_of) IN %(months)s
            AND (tenant_id, program_id, toDate(as_of), relationship_id) IN
                (SELECT tenant_id, program_id, day, relationship_id FROM touched)
        GROUP BY tenant_id, program_id, relationship_id, day
    ),
    told AS
    (
        SELECT
            tenant_id, program_id, relationship_id, toDate(occurred_at) AS day, count() AS events,
            countIf(type = 'mentoring.session.held.v1') AS sessions,
            countIf(type = 'mentoring.message.sent.v1') AS messages
        FROM mentoring.standing_events
        WHERE toYYYYMM(occurred_at) IN %(months)s
            AND (tenant_id, program_id, toDate(occurred_at), relationship_id) IN
                (SELECT tenant_id, program_id, day, relationship_id FROM touched)
        GROUP BY tenant_id, program_id, relationship_id, day
    )
SELECT
    tenant_id, program_id, day, relationship_id, scores, health, health_min, health_max, risk, risk_max, confidence,
    band, status, events, sessions, messages, %(version)s AS version, scores = 0 AND events = 0 AS is_deleted
FROM touched
LEFT JOIN scored USING (tenant_id, program_id, day, relationship_id)
LEFT JOIN told USING (tenant_id, program_id, day, relationship_id)
SETTINGS do_not_merge_across_partitions_select_final = 1, join_use_nulls = 0
