-- How often rules were right, by what happened after their alerts, as far as that is known.
SELECT tenant_id, program_id, rule, came_true, outcomes
FROM mentoring_mart.rule_precision
WHERE outcomes > 0
ORDER BY tenant_id, program_id, rule
LIMIT 10000
