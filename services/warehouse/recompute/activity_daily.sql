-- Recounts the touched programme days by event type; a type without remaining events is marked as deleted.
INSERT INTO mentoring.activity_daily
    (tenant_id, program_id, day, type, events, relationships, minutes, late, version, is_deleted)
WITH
    days AS
    (
        SELECT key.1 AS tenant_id, key.2 AS program_id, toDate(key.3) AS day FROM (SELECT arrayJoin(%(days)s) AS key)
    ),
    counted AS
    (
        SELECT
            tenant_id, program_id, toDate(occurred_at) AS day, type, count() AS events,
            uniqExact(relationship_id) AS relationships, sum(toFloat64(minutes)) AS minutes,
            countIf(recorded_at > occurred_at + INTERVAL 1 DAY) AS late
        FROM mentoring.standing_events
        WHERE toYYYYMM(occurred_at) IN %(months)s
            AND (tenant_id, program_id, toDate(occurred_at)) IN (SELECT tenant_id, program_id, day FROM days)
        GROUP BY tenant_id, program_id, day, type
    ),
    touched AS
    (
        SELECT tenant_id, program_id, day, type FROM counted
        UNION DISTINCT
        SELECT tenant_id, program_id, day, type
        FROM mentoring.activity_daily
        WHERE (tenant_id, program_id, day) IN (SELECT tenant_id, program_id, day FROM days)
    )
SELECT
    tenant_id, program_id, day, type, events, relationships, minutes, late, %(version)s AS version,
    events = 0 AS is_deleted
FROM touched
LEFT JOIN counted USING (tenant_id, program_id, day, type)
SETTINGS do_not_merge_across_partitions_select_final = 1, join_use_nulls = 0
