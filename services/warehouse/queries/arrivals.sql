-- How late do events arrive, and how many arrive twice, by feed?
SELECT
    tenant_id, program_id, source, events, told_twice, round(delays[1], 1) AS median_seconds,
    round(delays[2], 1) AS p95_seconds, later_than_a_day
FROM
(
    SELECT
        tenant_id, program_id, source, count() AS events, events - uniqExact(event_id) AS told_twice,
        quantilesExactInclusive(0.5, 0.95)(delay_seconds) AS delays, countIf(delay_seconds > 86400) AS later_than_a_day
    FROM mentoring_mart.events
    WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, source
)
ORDER BY tenant_id, program_id, source
