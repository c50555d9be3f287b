-- How a relationship fared since an instant: its rows, the newest first, with what brought each about.
-- Parameters tenant, relationship, since
SELECT as_of, health, risk, health - health_before AS moved, trigger_type, causes
FROM mentoring_mart.scores
WHERE tenant_id = {tenant:String} AND relationship_id = {relationship:String}
  AND as_of >= {since:DateTime64(6, 'UTC')}
ORDER BY as_of DESC
LIMIT 4000
