-- How precise is each alert rule, by people's votes and by what happened afterwards?
SELECT
    tenant_id, program_id, rule, alerts, withdrawn, acknowledged, useful, not_useful,
    round(precision_by_votes, 3) AS precision_by_votes, outcomes, came_true,
    round(precision_by_outcome, 3) AS precision_by_outcome
FROM mentoring_mart.rule_precision
WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
ORDER BY tenant_id, program_id, rule
