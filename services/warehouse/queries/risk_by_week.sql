-- What share of pairs was at risk in each of the last 52 weeks?
SELECT
    tenant_id, program_id, week, relationships, at_risk, round(share_at_risk, 3) AS share_at_risk,
    round(health_mean, 1) AS health_mean
FROM mentoring_mart.program_week
WHERE relationships > 0 AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    AND week > (SELECT max(week) FROM mentoring_mart.program_week WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})) - 7 * 52
ORDER BY tenant_id, program_id, week
