-- The latest event of each source of a programme.
-- Parameters tenant, program
SELECT source, events, last_event_at, last_recorded_at, expected_hours
FROM mentoring_mart.sources
WHERE tenant_id = {tenant:String} AND program_id = {program:String}
ORDER BY source
LIMIT 200
