-- How late do events arrive by feed, and how many are told twice?
SELECT
    tenant_id, program_id, source, count() AS events, count() - uniqExact(event_id) AS told_twice,
    round(quantileExactInclusive(0.5)(delay_seconds), 1) AS median_seconds,
    round(quantileExactInclusive(0.95)(delay_seconds), 1) AS p95_seconds, countIf(delay_seconds > 86400) AS later_than_a_day
FROM mentoring_mart.events
WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
GROUP BY tenant_id, program_id, source
ORDER BY tenant_id, program_id, source
