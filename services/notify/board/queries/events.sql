-- Recent events of a relationship, the newest first.
-- Parameters tenant, relationship, since
SELECT occurred_at, type, actor, evidence, source, retracted
FROM mentoring_mart.events
WHERE tenant_id = {tenant:String} AND relationship_id = {relationship:String}
  AND occurred_at >= {since:DateTime64(6, 'UTC')}
ORDER BY occurred_at DESC
LIMIT 50
