-- How do cohorts compare, with groups too small to be anonymous suppressed?
-- Parameter least = 5: smaller groups are suppressed
SELECT
    tenant_id, program_id, cohort, if(one.pairs < {least:UInt32}, NULL, one.pairs) AS pairs,
    if(one.pairs < {least:UInt32}, NULL, round(mean_health, 1)) AS mean_health,
    if(one.pairs < {least:UInt32}, NULL, round(at_risk / one.pairs, 3)) AS share_at_risk,
    if(one.pairs < {least:UInt32}, NULL, round(mean_sessions, 1)) AS mean_sessions,
    if(one.pairs < {least:UInt32}, NULL, round(ended_early / one.pairs, 3)) AS share_ended_early
FROM
(
    SELECT
        tenant_id, program_id, cohort, count() AS pairs, avg(now.health) AS mean_health,
        countIf(now.risk >= 0.7 AND NOT ended) AS at_risk, avg(sessions) AS mean_sessions,
        countIf(ended AND NOT end_planned) AS ended_early
    FROM mentoring_mart.relationships
    INNER JOIN mentoring_mart.relationship_current AS now USING (tenant_id, program_id, relationship_id)
    WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, cohort
) AS one
ORDER BY tenant_id, program_id, cohort
