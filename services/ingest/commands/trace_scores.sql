SELECT as_of, causes, toString(before_band), before_health / 1e6, health / 1e6, toString(band), risk / 1e6, toString(kind), toString(mode),
       log_partition, log_offset
FROM mentoring.score_history FINAL
WHERE tenant_id = {tenant:String} AND relationship_id = {relationship:String}
  AND ((trigger_source = {source:String} AND trigger_id = {id:String}) OR as_of = {at:DateTime64(6, 'UTC')})
ORDER BY as_of
LIMIT 20
