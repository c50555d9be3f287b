-- How did each programme do, quarter by quarter?
SELECT
    tenant_id, program_id, quarter, pairs, round(mean_health, 1) AS mean_health, round(share_at_risk, 3) AS share_at_risk,
    sessions, round(sessions / pairs, 1) AS sessions_per_pair, ifNull(counted.goals_set, 0) AS goals_set,
    ifNull(counted.goals_achieved, 0) AS goals_achieved, round(told.skill_growth, 2) AS skill_growth,
    round(given.mean_rating, 2) AS mean_rating, ifNull(counted.introductions, 0) AS introductions,
    ifNull(counted.resources, 0) AS resources, ifNull(counted.support_requests, 0) AS support_requests,
    ifNull(told.ended_early, 0) AS ended_early
FROM
(
    SELECT
        tenant_id, program_id, toStartOfQuarter(month) AS quarter, uniqExactIf(relationship_id, days_standing > 0) AS pairs,
        sum(health_sum) / sum(days_scored) AS mean_health, sum(days_at_risk) / sum(days_scored) AS share_at_risk,
        sum(sessions) AS sessions
    FROM mentoring_mart.relationship_month
    WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, quarter
) AS scored
LEFT JOIN
(
    SELECT
        tenant_id, program_id, toStartOfQuarter(day) AS quarter,
        sumIf(events, type = 'mentoring.goal.set.v1') AS goals_set,
        sumIf(events, type = 'mentoring.goal.achieved.v1') AS goals_achieved,
        sumIf(events, type = 'mentoring.introduction.made.v1') AS introductions,
        sumIf(events, type = 'mentoring.resource.shared.v1') AS resources,
        sumIf(events, type = 'mentoring.support.requested.v1') AS support_requests
    FROM mentoring_mart.activity_day
    WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, quarter
) AS counted USING (tenant_id, program_id, quarter)
LEFT JOIN
(
    SELECT
        tenant_id, program_id, toDate(toStartOfQuarter(occurred_at)) AS quarter,
        avgOrNullIf(JSONExtractInt(payload, 'after') - JSONExtractInt(payload, 'before'),
            type = 'mentoring.skill.assessed.v1') AS skill_growth,
        countIf(type = 'mentoring.relationship.ended.v1' AND NOT JSONExtractBool(payload, 'planned')) AS ended_early
    FROM mentoring_mart.events_by_type
    WHERE type IN ('mentoring.skill.assessed.v1', 'mentoring.relationship.ended.v1')
        AND NOT retracted AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, quarter
) AS told USING (tenant_id, program_id, quarter)
LEFT JOIN
(
    SELECT tenant_id, program_id, toDate(toStartOfQuarter(given_at)) AS quarter, avg(rating) AS mean_rating
    FROM mentoring_mart.feedback
    WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, quarter
) AS given USING (tenant_id, program_id, quarter)
WHERE pairs > 0
ORDER BY tenant_id, program_id, quarter
SETTINGS join_use_nulls = 1
