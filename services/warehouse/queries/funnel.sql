-- How many pairs have scheduled a session, held one, set a goal and reached one?
SELECT
    tenant_id, program_id, count() AS pairs, countIf(sessions_scheduled > 0) AS scheduled, countIf(sessions > 0) AS held,
    countIf(goals_set > 0) AS goal, countIf(goals_achieved > 0) AS achieved
FROM mentoring_mart.relationships
WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
GROUP BY tenant_id, program_id
ORDER BY tenant_id, program_id
