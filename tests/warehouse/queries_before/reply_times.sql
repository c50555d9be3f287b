-- How long do mentors and mentees take to answer a message?
SELECT
    tenant_id, program_id, side, count() AS replies,
    round(quantileExactInclusive(0.5)(hours), 1) AS median_hours,
    round(quantileExactInclusive(0.75)(hours), 1) AS p75_hours, round(quantileExactInclusive(0.95)(hours), 1) AS p95_hours
FROM
(
    SELECT tenant_id, program_id, answer.1 AS side, dateDiff('second', asked_at, answer.2) / 3600 AS hours
    FROM
    (
        SELECT
            tenant_id, program_id, groupArrayIf(occurred_at, NOT told.1) AS asked,
            groupArrayIf((actor, occurred_at), told.1) AS answers
        FROM
        (
            SELECT
                tenant_id, program_id, relationship_id, source, actor, occurred_at, id,
                JSONExtractString(payload, 'reply_to') AS reply_to
            FROM mentoring_mart.events
            WHERE type = 'mentoring.message.sent.v1' AND NOT retracted AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
        )
        ARRAY JOIN if(reply_to = '', [(false, id)], [(false, id), (true, reply_to)]) AS told
        GROUP BY tenant_id, program_id, relationship_id, source, told.2
        HAVING notEmpty(asked) AND notEmpty(answers)
    )
    ARRAY JOIN answers AS answer
    ARRAY JOIN asked AS asked_at
)
GROUP BY tenant_id, program_id, side
ORDER BY tenant_id, program_id, side
