-- Which ten relationships that met in the last 90 days are most at risk, and why?
SELECT relationship_id AS relationship, calibrated, round(health, 1) AS health, band, round(risk, 2) AS risk, confidence,
       round(silent_days) AS silent_days, factors, weights
FROM mentoring_mart.relationship_current AS now
INNER JOIN
(
    SELECT
        tenant_id, program_id, relationship_id, mapFromArrays(groupArray(factor), groupArray(points)) AS factors,
        mapFromArrays(groupArray(factor), groupArray(most)) AS weights
    FROM mentoring_mart.factor_costs
    GROUP BY tenant_id, program_id, relationship_id
) AS why USING (tenant_id, program_id, relationship_id)
WHERE last_contact >= {end:DateTime64(6, 'UTC')} - INTERVAL 90 DAY AND status = 'active'
ORDER BY now.risk DESC, relationship
LIMIT 10
