-- What happened in all relationships of one person?
-- Parameter person: the pseudonymous key of the person
WITH of AS
(
    SELECT tenant_id, program_id, relationship_id, arrayStringConcat(arraySort(groupArray(side)), ', ') AS side
    FROM mentoring_mart.relationship_people
    WHERE person = {person:String} AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, relationship_id
)
SELECT occurred_at, tenant_id, program_id, relationship_id, side, type, actor, source, minutes
FROM mentoring_mart.events
INNER JOIN of USING (tenant_id, program_id, relationship_id)
WHERE NOT retracted AND (tenant_id, program_id, relationship_id) IN (SELECT tenant_id, program_id, relationship_id FROM of)
ORDER BY occurred_at, relationship_id, type
LIMIT 10000
