-- Programme days that count rows of these relationships.
SELECT DISTINCT tenant_id, program_id, day
FROM
(
    SELECT tenant_id, program_id, toDate(as_of) AS day
    FROM mentoring.score_history
    WHERE (tenant_id, relationship_id) IN %(relationships)s

    UNION ALL

    SELECT tenant_id, program_id, toDate(occurred_at) AS day
    FROM mentoring.events
    WHERE (tenant_id, relationship_id) IN %(relationships)s

    UNION ALL

    SELECT tenant_id, program_id, toDate(at) AS day
    FROM mentoring.alert_log
    WHERE (tenant_id, relationship_id) IN %(relationships)s
)
ORDER BY day, tenant_id, program_id
