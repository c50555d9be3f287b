-- How often did pairs fall silent for 30 days, by the risk that was predicted?
-- Parameter horizon = 30: days without contact
SELECT
    tenant_id, program_id, least(floor(risk * 10) / 10, 0.9) AS predicted_from, count() AS cases,
    round(avg(risk), 3) AS predicted, round(avg(silent), 3) AS observed
FROM
(
    SELECT
        tenant_id, program_id, relationship_id, case.1 AS day, case.2 AS risk,
        NOT arrayExists(active -> active > day AND active <= day + {horizon:UInt32}, active_days) AS silent
    FROM
    (
        SELECT
            tenant_id, program_id, relationship_id, groupArrayIf(day, active) AS active_days,
            groupArrayIf((day, assumeNotNull(risk)), status = 'active' AND toRelativeDayNum(day) % 14 = 0) AS cases,
            max(day) AS last_day
        FROM mentoring_mart.relationship_day
        WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
        GROUP BY tenant_id, program_id, relationship_id
    )
    ARRAY JOIN cases AS case
    WHERE day + {horizon:UInt32} <= last_day
)
GROUP BY tenant_id, program_id, predicted_from
ORDER BY tenant_id, program_id, predicted_from
