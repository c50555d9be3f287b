-- How long do mentors and mentees take to answer a message?
SELECT
    tenant_id, program_id, side, count() AS replies,
    round(quantileExactInclusive(0.5)(hours), 1) AS median_hours,
    round(quantileExactInclusive(0.75)(hours), 1) AS p75_hours, round(quantileExactInclusive(0.95)(hours), 1) AS p95_hours
FROM
(
    SELECT
        answer.tenant_id AS tenant_id, answer.program_id AS program_id, answer.actor AS side,
        dateDiff('second', asked.occurred_at, answer.occurred_at) / 3600 AS hours
    FROM
    (
        SELECT tenant_id, program_id, relationship_id, source, actor, occurred_at, JSONExtractString(payload, 'reply_to') AS id
        FROM mentoring_mart.events
        WHERE type = 'mentoring.message.sent.v1' AND NOT retracted AND id != '' AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    ) AS answer
    INNER JOIN
    (
        SELECT tenant_id, program_id, relationship_id, source, id, occurred_at
        FROM mentoring_mart.events
        WHERE type = 'mentoring.message.sent.v1' AND NOT retracted AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    ) AS asked USING (tenant_id, program_id, relationship_id, source, id)
)
GROUP BY tenant_id, program_id, side
ORDER BY tenant_id, program_id, side
