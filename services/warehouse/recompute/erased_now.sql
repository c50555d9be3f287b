-- Relationships whose erasure was stored since an instant (microseconds of the server clock).
INSERT INTO mentoring.erased (tenant_id, relationship_id)
SELECT DISTINCT tenant_id, relationship_id
FROM mentoring.events
WHERE type = 'mentoring.relationship.erased.v1'
    AND inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')
    AND (tenant_id, relationship_id) NOT IN (SELECT tenant_id, relationship_id FROM mentoring.erased)
