-- How healthy were pairs when they were asked, by the rating that they gave?
SELECT
    tenant_id, program_id, side, rating, count() AS answers, round(avg(health), 1) AS mean_health,
    round(avg(risk), 2) AS mean_risk
FROM
(
    SELECT
        asked.tenant_id AS tenant_id, asked.program_id AS program_id, asked.actor AS side, asked.rating AS rating,
        scored.health AS health, scored.risk AS risk
    FROM
    (
        SELECT
            tenant_id, program_id, relationship_id, actor, occurred_at,
            JSONExtractFloat(payload, 'rating') AS given, JSONExtractFloat(payload, 'scale_min') AS least,
            JSONExtractFloat(payload, 'scale_max') AS most,
            round(1 + 4 * (given - least) / (most - least)) AS rating
        FROM mentoring_mart.events_by_type
        WHERE type = 'mentoring.feedback.given.v1' AND NOT retracted AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    ) AS asked
    ASOF INNER JOIN
    (
        SELECT tenant_id, program_id, relationship_id, as_of, health, risk FROM mentoring_mart.scores WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    ) AS scored
    ON asked.tenant_id = scored.tenant_id AND asked.program_id = scored.program_id
        AND asked.relationship_id = scored.relationship_id AND asked.occurred_at > scored.as_of
)
GROUP BY tenant_id, program_id, side, rating
ORDER BY tenant_id, program_id, side, rating
