-- How healthy were pairs when they answered a survey, by the rating that they gave?
SELECT
    tenant_id, program_id, side, round(f.rating) AS rating, count() AS answers, round(avg(f.health), 1) AS mean_health,
    round(avg(f.risk), 2) AS mean_risk
FROM mentoring_mart.feedback AS f
WHERE scored_at IS NOT NULL AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
GROUP BY tenant_id, program_id, side, rating
ORDER BY tenant_id, program_id, side, rating
