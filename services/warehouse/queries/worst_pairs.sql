-- Which 50 pairs are worst off, and which factor costs each the most points?
-- A factor costs the points that it could give and does not; the silence part, which has no weight, costs what it takes.
WITH mapApply((name, points) -> (name, 100 * weights[name] / arraySum(mapValues(weights)) - points), factors) AS cost
SELECT
    tenant_id, program_id, relationship_id, round(health, 1) AS health, band, round(risk, 2) AS risk, last_contact,
    arraySort((name, points) -> -points, mapKeys(cost), mapValues(cost))[1] AS costliest_factor,
    round(cost[costliest_factor], 1) AS costs
FROM mentoring_mart.relationship_current
WHERE status = 'active'
ORDER BY health, relationship_id
LIMIT 50
