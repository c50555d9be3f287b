-- The precision of rules: how many of their alerts with a known outcome came true.
SELECT tenant_id, program_id, rule, came_true, outcomes
FROM mentoring_mart.rule_precision
WHERE outcomes > 0
ORDER BY tenant_id, program_id, rule
LIMIT 10000
