-- Erased relationships of which rows are stored: those of whose erasure, or of which anything, was stored since an
-- instant (microseconds of the server's clock). That they were erased is no row of theirs.
WITH
    every AS (SELECT tenant_id, relationship_id FROM mentoring.erased),
    fresh AS
    (
        SELECT tenant_id, relationship_id
        FROM mentoring.erased
        WHERE erased_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')
    )
SELECT DISTINCT tenant_id, relationship_id
FROM
(
    SELECT tenant_id, relationship_id
    FROM mentoring.events
    WHERE type != 'mentoring.relationship.erased.v1' AND (tenant_id, relationship_id) IN every
        AND (
            inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')
            OR (tenant_id, relationship_id) IN fresh
        )

    UNION ALL

    SELECT tenant_id, relationship_id
    FROM mentoring.score_history
    WHERE (tenant_id, relationship_id) IN every
        AND (
            inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')
            OR (tenant_id, relationship_id) IN fresh
        )

    UNION ALL

    SELECT tenant_id, relationship_id
    FROM mentoring.alert_log
    WHERE (tenant_id, relationship_id) IN every
        AND (
            inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')
            OR (tenant_id, relationship_id) IN fresh
        )

    UNION ALL

    SELECT tenant_id, relationship_id FROM mentoring.relationship_state WHERE (tenant_id, relationship_id) IN every
)
ORDER BY tenant_id, relationship_id
