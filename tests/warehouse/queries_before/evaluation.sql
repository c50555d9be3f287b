-- How did each programme do, quarter by quarter?
SELECT
    tenant_id, program_id, quarter, pairs, round(mean_health, 1) AS mean_health, round(share_at_risk, 3) AS share_at_risk,
    sessions, round(sessions / pairs, 1) AS sessions_per_pair, ifNull(told.goals_set, 0) AS goals_set,
    ifNull(told.goals_achieved, 0) AS goals_achieved, round(told.skill_growth, 2) AS skill_growth,
    round(told.mean_rating, 2) AS mean_rating, ifNull(told.introductions, 0) AS introductions,
    ifNull(told.resources, 0) AS resources, ifNull(told.support_requests, 0) AS support_requests,
    ifNull(told.ended_early, 0) AS ended_early
FROM
(
    SELECT
        tenant_id, program_id, toStartOfQuarter(day) AS quarter, uniqExactIf(relationship_id, status != 'ended') AS pairs,
        avg(health) AS mean_health, avg(risk >= 0.7) AS share_at_risk, sum(sessions) AS sessions
    FROM mentoring_mart.relationship_day
    WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, quarter
) AS scored
LEFT JOIN
(
    SELECT
        tenant_id, program_id, toDate(toStartOfQuarter(occurred_at)) AS quarter,
        countIf(type = 'mentoring.goal.set.v1') AS goals_set, countIf(type = 'mentoring.goal.achieved.v1') AS goals_achieved,
        avgOrNullIf(JSONExtractInt(payload, 'after') - JSONExtractInt(payload, 'before'),
            type = 'mentoring.skill.assessed.v1') AS skill_growth,
        avgOrNullIf(1 + 4 * (JSONExtractFloat(payload, 'rating') - JSONExtractFloat(payload, 'scale_min'))
            / (JSONExtractFloat(payload, 'scale_max') - JSONExtractFloat(payload, 'scale_min')),
            type = 'mentoring.feedback.given.v1') AS mean_rating,
        countIf(type = 'mentoring.introduction.made.v1') AS introductions,
        countIf(type = 'mentoring.resource.shared.v1') AS resources,
        countIf(type = 'mentoring.support.requested.v1') AS support_requests,
        countIf(type = 'mentoring.relationship.ended.v1' AND NOT JSONExtractBool(payload, 'planned')) AS ended_early
    FROM mentoring_mart.events_by_type
    WHERE type IN ('mentoring.goal.set.v1', 'mentoring.goal.achieved.v1', 'mentoring.skill.assessed.v1',
            'mentoring.feedback.given.v1', 'mentoring.introduction.made.v1', 'mentoring.resource.shared.v1',
            'mentoring.support.requested.v1', 'mentoring.relationship.ended.v1')
        AND NOT retracted AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, quarter
) AS told USING (tenant_id, program_id, quarter)
WHERE pairs > 0
ORDER BY tenant_id, program_id, quarter
SETTINGS join_use_nulls = 1
