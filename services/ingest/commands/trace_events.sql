SELECT tenant_id, relationship_id, type, id, occurred_at, recorded_at, log_partition, log_offset
FROM mentoring.events FINAL
WHERE source = {source:String} AND id IN {ids:Array(String)} AND ({tenant:String} = '' OR tenant_id = {tenant:String})
ORDER BY recorded_at, tenant_id, relationship_id
LIMIT 100
