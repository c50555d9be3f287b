-- Programme days for which anything that counts was stored since an instant (microseconds of the server clock), in time
-- order, so that neighbours lie in the same partitions.
SELECT DISTINCT tenant_id, program_id, day
FROM
(
    SELECT DISTINCT tenant_id, program_id, toDate(as_of) AS day
    FROM mentoring.score_history
    WHERE inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')

    UNION ALL

    SELECT DISTINCT tenant_id, program_id, toDate(occurred_at) AS day
    FROM mentoring.events
    WHERE inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')
        AND type != 'mentoring.relationship.erased.v1'

    UNION ALL

    -- A retracted event no longer counts on its own day.
    SELECT DISTINCT
        tenant_id, program_id,
        toDate(parseDateTime64BestEffortOrZero(JSONExtractString(payload, 'time'), 6, 'UTC')) AS day
    FROM mentoring.events
    WHERE type = 'mentoring.event.retracted.v1'
        AND inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')

    UNION ALL

    SELECT DISTINCT tenant_id, program_id, toDate(at) AS day
    FROM mentoring.alert_log
    WHERE inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC') AND transition = 'fired'

    UNION ALL

    -- A withdrawn alert no longer counts on the day on which it fired.
    SELECT DISTINCT tenant_id, program_id, toDate(at) AS day
    FROM mentoring.alert_log
    WHERE transition = 'fired' AND (tenant_id, dedup_key) IN
    (
        SELECT tenant_id, dedup_key
        FROM mentoring.alert_log
        WHERE inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')
            AND transition = 'resolved' AND startsWith(why, 'corrected')
    )
)
ORDER BY day, tenant_id, program_id
