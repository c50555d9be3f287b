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
    WHERE inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC') AND type = 'mentoring.session.held.v1'

    UNION ALL

    SELECT DISTINCT tenant_id, program_id, toDate(at) AS day
    FROM mentoring.alert_log
    WHERE inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC') AND transition = 'fired'
)
ORDER BY day, tenant_id, program_id
