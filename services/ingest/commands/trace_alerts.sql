SELECT at, rule, toString(transition), toString(urgency), why, summary, not_sent, log_partition, log_offset
FROM mentoring.alert_log FINAL
WHERE tenant_id = {tenant:String} AND relationship_id = {relationship:String}
  AND trigger_source = {source:String} AND trigger_id = {id:String}
ORDER BY at
LIMIT 20
