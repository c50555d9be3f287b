-- How often did pairs fall silent for 30 days, by predicted risk?
-- Parameter horizon = 30: days without contact
SELECT
    tenant_id, program_id, least(floor(risk * 10) / 10, 0.9) AS predicted_from, count() AS cases,
    round(avg(risk), 3) AS predicted, round(avg(ifNull(next_contact > day + {horizon:UInt32}, true)), 3) AS observed
FROM mentoring_mart.risk_cases
WHERE day + {horizon:UInt32} <= known_until AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
GROUP BY tenant_id, program_id, predicted_from
ORDER BY tenant_id, program_id, predicted_from
