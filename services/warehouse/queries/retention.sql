-- What share of each cohort is still together after 1, 2, 4 and up to 52 weeks?
SELECT
    tenant_id, program_id, cohort, week, count() AS pairs,
    countIf(NOT ended OR dateDiff('second', started_at, ended_at) >= week * 604800) AS together,
    round(together / pairs, 3) AS share
FROM
(
    SELECT *, max(last_event_at) OVER (PARTITION BY tenant_id, program_id) AS known_until
    FROM mentoring_mart.relationships
    WHERE declared AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
) AS pair
ARRAY JOIN [1, 2, 4, 8, 12, 16, 26, 39, 52] AS week
WHERE started_at + toIntervalWeek(week) <= known_until
GROUP BY tenant_id, program_id, cohort, week
ORDER BY tenant_id, program_id, cohort, week
