-- How much did each skill grow, comparing assessments before and after?
SELECT
    tenant_id, program_id, JSONExtractString(payload, 'skill') AS skill, count() AS assessments,
    uniqExact(relationship_id) AS pairs, round(avg(JSONExtractInt(payload, 'before')), 2) AS before,
    round(avg(JSONExtractInt(payload, 'after')), 2) AS after, round(after - before, 2) AS growth
FROM mentoring_mart.events_by_type
WHERE type = 'mentoring.skill.assessed.v1' AND NOT retracted AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
GROUP BY tenant_id, program_id, skill
ORDER BY tenant_id, program_id, growth DESC, skill
