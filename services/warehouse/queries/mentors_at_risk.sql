-- Which mentors have two or more pairs at risk?
SELECT
    tenant_id, person AS mentor, count() AS pairs_at_risk, round(max(risk), 2) AS greatest_risk,
    arrayStringConcat(arraySort(groupArray(relationship_id)), ', ') AS pairs
FROM mentoring_mart.relationship_people
INNER JOIN mentoring_mart.relationship_current AS now USING (tenant_id, program_id, relationship_id)
WHERE side = 'mentor' AND now.status = 'active' AND now.risk >= 0.7 AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
GROUP BY tenant_id, person
HAVING pairs_at_risk >= 2
ORDER BY pairs_at_risk DESC, greatest_risk DESC, mentor
