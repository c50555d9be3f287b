-- Erased relationships with rows in one table: those whose erasure, or any of whose rows, was stored since an instant
-- (microseconds of the server clock).
SELECT DISTINCT tenant_id, relationship_id
FROM {table}
WHERE NOT ({kept})
    AND (tenant_id, relationship_id) IN (SELECT tenant_id, relationship_id FROM mentoring.erased)
    AND (
        {fresh}
        OR (tenant_id, relationship_id) IN
        (
            SELECT tenant_id, relationship_id
            FROM mentoring.erased
            WHERE erased_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')
        )
    )
