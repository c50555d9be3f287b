-- What does each factor contribute on average, by band?
SELECT
    tenant_id, program_id, band, factor, count() AS pairs, round(avg(points), 1) AS mean_points,
    round(avg(cost), 1) AS mean_cost
FROM mentoring_mart.factor_costs
INNER JOIN mentoring_mart.relationship_current AS now USING (tenant_id, program_id, relationship_id)
WHERE now.status != 'ended' AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
GROUP BY tenant_id, program_id, band, factor
ORDER BY tenant_id, program_id, band, mean_cost DESC, factor
