-- How many introductions and shared resources are there per pair?
SELECT
    tenant_id, program_id, count() AS pairs, sum(brought.introductions) AS introductions, sum(brought.resources) AS resources,
    round(introductions / pairs, 2) AS introductions_per_pair, round(resources / pairs, 2) AS resources_per_pair
FROM mentoring_mart.relationships
LEFT JOIN
(
    SELECT
        tenant_id, program_id, relationship_id, countIf(type = 'mentoring.introduction.made.v1') AS introductions,
        countIf(type = 'mentoring.resource.shared.v1') AS resources
    FROM mentoring_mart.events_by_type
    WHERE type IN ('mentoring.introduction.made.v1', 'mentoring.resource.shared.v1')
        AND NOT retracted AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, relationship_id
) AS brought USING (tenant_id, program_id, relationship_id)
WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
GROUP BY tenant_id, program_id
ORDER BY tenant_id, program_id
SETTINGS join_use_nulls = 0
