-- Daily figures of a programme, the oldest first.
-- Parameters tenant, program, since
SELECT toDateTime64(day, 6, 'UTC') AS at, relationships, health_median, at_risk, alerts
FROM mentoring_mart.program_day
WHERE tenant_id = {tenant:String} AND program_id = {program:String} AND day >= toDate({since:DateTime64(6, 'UTC')})
ORDER BY day
LIMIT 1000
