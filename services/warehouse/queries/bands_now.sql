-- How healthy is each programme now, and how many pairs are in which band?
SELECT
    tenant_id, program_id, count() AS pairs, round(avg(health), 1) AS mean_health,
    countIf(band = 'thriving') AS thriving, countIf(band = 'steady') AS steady,
    countIf(band = 'strained') AS strained, countIf(band = 'critical') AS critical, countIf(risk >= 0.7) AS at_risk,
    countIf(coordinator_band = 'on track') AS on_track, countIf(coordinator_band = 'needs attention') AS needs_attention,
    countIf(coordinator_band = 'too early to tell') AS too_early
FROM mentoring_mart.relationship_current
WHERE status != 'ended' AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
GROUP BY tenant_id, program_id
ORDER BY mean_health, tenant_id, program_id
