-- Relationships with score rows stored since an instant (microseconds of the server's clock).
SELECT DISTINCT tenant_id, program_id, relationship_id
FROM mentoring.score_history
WHERE inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')
ORDER BY tenant_id, program_id, relationship_id
