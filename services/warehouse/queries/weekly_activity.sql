-- How many pairs are active each week, and how often do they meet?
SELECT
    tenant_id, program_id, week, relationships, active_relationships, sessions,
    round(sessions_per_relationship, 2) AS sessions_per_pair, messages
FROM mentoring_mart.program_week
WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
ORDER BY tenant_id, program_id, week
