-- Days of programmes with anything that counts stored since an instant (microseconds of the server's clock), in time
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

    -- What was retracted counts no more on its own day.
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

    -- What was withdrawn counts no more on the day on which it fired.
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
