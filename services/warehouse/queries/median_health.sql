-- How did the median health of each programme move, day by day?
SELECT
    tenant_id, program_id, day, relationships, round(health_median, 1) AS median,
    round(health_p25, 1) AS lower_quarter, round(health_p75, 1) AS upper_quarter, sessions, alerts
FROM mentoring_mart.program_day
WHERE relationships > 0 AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
ORDER BY tenant_id, program_id, day
