-- The inserts since an instant (microseconds of the server clock), each with its number of visible rows. An insert
-- whose outcome was unknown for long has an early instant and appears late; the count of an insert in several parts
-- grows.
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
