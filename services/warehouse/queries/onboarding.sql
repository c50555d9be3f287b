-- What share of pairs has agreed on expectations, and has prepared on both sides, by day 14?
SELECT
    tenant_id, program_id, count() AS pairs, countIf(agreed) AS agreed, countIf(mentor AND mentee) AS both_prepared,
    round(agreed / pairs, 3) AS share_agreed, round(both_prepared / pairs, 3) AS share_prepared
FROM
(
    SELECT
        pair.tenant_id AS tenant_id, pair.program_id AS program_id, pair.relationship_id AS relationship_id,
        countIf(type = 'mentoring.relationship.expectations_agreed.v1') > 0 AS agreed,
        countIf(type = 'mentoring.preparation.completed.v1' AND actor = 'mentor') > 0 AS mentor,
        countIf(type = 'mentoring.preparation.completed.v1' AND actor = 'mentee') > 0 AS mentee
    FROM mentoring_mart.relationships AS pair
    LEFT JOIN
    (
        SELECT tenant_id, program_id, relationship_id, type, actor, occurred_at
        FROM mentoring_mart.events_by_type
        WHERE type IN ('mentoring.relationship.expectations_agreed.v1', 'mentoring.preparation.completed.v1')
            AND NOT retracted AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    ) AS early ON early.tenant_id = pair.tenant_id AND early.program_id = pair.program_id
        AND early.relationship_id = pair.relationship_id AND early.occurred_at <= pair.started_at + toIntervalDay(14)
    WHERE pair.declared AND ({tenant:String} = '' OR pair.tenant_id = {tenant:String})
        AND ({program:String} = '' OR pair.program_id = {program:String})
    GROUP BY pair.tenant_id, pair.program_id, pair.relationship_id
)
GROUP BY tenant_id, program_id
ORDER BY tenant_id, program_id
