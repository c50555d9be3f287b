-- Which 50 active pairs have the lowest health, and which factor costs each the most points?
SELECT
    tenant_id, program_id, relationship_id, round(health, 1) AS health, band, round(risk, 2) AS risk, calibrated,
    last_contact, costliest_factor, round(costs, 1) AS costs
FROM mentoring_mart.relationship_current
INNER JOIN
(
    SELECT tenant_id, program_id, relationship_id, argMax(factor, cost) AS costliest_factor, max(cost) AS costs
    FROM mentoring_mart.factor_costs
    WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, relationship_id
) AS costliest USING (tenant_id, program_id, relationship_id)
WHERE status = 'active' AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
ORDER BY mentoring_mart.relationship_current.health, relationship_id
LIMIT 50
