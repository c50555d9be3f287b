-- How healthy is each programme now, and how many pairs are in which band?
SELECT
    tenant_id, program_id, count() AS pairs, round(avg(health), 1) AS mean_health,
    countIf(band = 'thriving') AS thriving, countIf(band = 'steady') AS steady,
    countIf(band = 'strained') AS strained, countIf(band = 'critical') AS critical,
    countIf(risk >= 0.7) AS at_risk
FROM mentoring_mart.relationship_current
WHERE status != 'ended'
GROUP BY tenant_id, program_id
ORDER BY mean_health
