-- Erased relationships of which one table has rows: those of whose erasure, or of which anything, was stored since an
-- instant (microseconds of the server's clock).
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
