-- How long do mentors and mentees take to answer a message?
SELECT
    tenant_id, program_id, side, replies, round(took[1], 1) AS median_hours, round(took[2], 1) AS p75_hours,
    round(took[3], 1) AS p95_hours
FROM
(
    SELECT tenant_id, program_id, side, count() AS replies, quantilesExactInclusive(0.5, 0.75, 0.95)(hours) AS took
    FROM mentoring_mart.replies
    WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, side
)
ORDER BY tenant_id, program_id, side
