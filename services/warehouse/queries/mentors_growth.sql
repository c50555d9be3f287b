-- How much do mentors themselves learn, by reflections, skills and resources?
SELECT
    tenant_id, program_id, uniqExact(relationship_id) AS pairs, countIf(type = 'mentoring.reflection.recorded.v1') AS reflections,
    countIf(type = 'mentoring.skill.assessed.v1') AS skills,
    round(avgOrNullIf(JSONExtractInt(payload, 'after') - JSONExtractInt(payload, 'before'),
        type = 'mentoring.skill.assessed.v1'), 2) AS skill_growth,
    countIf(type = 'mentoring.resource.shared.v1') AS resources
FROM mentoring_mart.events_by_type
WHERE actor = 'mentor' AND NOT retracted AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    AND type IN ('mentoring.reflection.recorded.v1', 'mentoring.skill.assessed.v1', 'mentoring.resource.shared.v1')
GROUP BY tenant_id, program_id
ORDER BY tenant_id, program_id
