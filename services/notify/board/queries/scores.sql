-- The score rows of a relationship since an instant, the newest first, each with its trigger.
-- Parameters tenant, relationship, since
SELECT as_of, health, risk, health - health_before AS moved, trigger_type, causes
FROM mentoring_mart.scores
WHERE tenant_id = {tenant:String} AND relationship_id = {relationship:String}
  AND as_of >= {since:DateTime64(6, 'UTC')}
ORDER BY as_of DESC
LIMIT 4000
