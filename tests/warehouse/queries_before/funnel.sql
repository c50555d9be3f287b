-- How many pairs have scheduled a session, held one, set a goal and reached one?
SELECT
    tenant_id, program_id, count() AS pairs, countIf(done.scheduled) AS scheduled, countIf(sessions > 0) AS held,
    countIf(done.goal) AS goal, countIf(done.achieved) AS achieved
FROM mentoring_mart.relationships
LEFT JOIN
(
    SELECT
        tenant_id, program_id, relationship_id, countIf(type = 'mentoring.session.scheduled.v1') > 0 AS scheduled,
        countIf(type = 'mentoring.goal.set.v1') > 0 AS goal,
        countIf(type = 'mentoring.goal.achieved.v1') > 0 AS achieved
    FROM mentoring_mart.events_by_type
    WHERE type IN ('mentoring.session.scheduled.v1', 'mentoring.goal.set.v1', 'mentoring.goal.achieved.v1')
        AND NOT retracted AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, relationship_id
) AS done USING (tenant_id, program_id, relationship_id)
WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
GROUP BY tenant_id, program_id
ORDER BY tenant_id, program_id
SETTINGS join_use_nulls = 0
