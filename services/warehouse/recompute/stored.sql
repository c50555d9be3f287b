-- What was stored since an instant (microseconds of the server's clock): the inserts, each with how many of its rows are
-- there. One whose outcome was long unknown has an early instant and comes late; of one in several parts the count grows.
SELECT 'score_history' AS name, log_partition, toUnixTimestamp64Micro(inserted_at) AS at, count() AS rows
FROM mentoring.score_history
WHERE inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')
GROUP BY log_partition, at

UNION ALL

SELECT 'events' AS name, log_partition, toUnixTimestamp64Micro(inserted_at) AS at, count() AS rows
FROM mentoring.events
WHERE inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')
GROUP BY log_partition, at

UNION ALL

SELECT 'alert_log' AS name, log_partition, toUnixTimestamp64Micro(inserted_at) AS at, count() AS rows
FROM mentoring.alert_log
WHERE inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')
GROUP BY log_partition, at
