-- Relationships with rows stored since an instant (microseconds of the server clock), except for erased ones.
SELECT DISTINCT tenant_id, program_id, relationship_id
FROM
(
    SELECT DISTINCT tenant_id, program_id, relationship_id
    FROM mentoring.score_history
    WHERE inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')

    UNION ALL

    SELECT DISTINCT tenant_id, program_id, relationship_id
    FROM mentoring.events
    WHERE inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')
)
WHERE (tenant_id, relationship_id) NOT IN (SELECT tenant_id, relationship_id FROM mentoring.erased)
ORDER BY tenant_id, program_id, relationship_id
