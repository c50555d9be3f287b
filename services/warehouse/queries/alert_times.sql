-- How long does it take to notify people of an alert, to acknowledge it and to resolve it, by rule?
SELECT
    tenant_id, program_id, rule, count() AS alerts, countIf(open) AS still_open,
    countIf(told_at IS NOT NULL) AS told, countIf(not_sent IS NOT NULL) AS not_sent,
    round(quantileExactInclusive(0.5)(dateDiff('second', fired_at, told_at)) / 60, 1) AS median_minutes_to_tell,
    countIf(acknowledged_at IS NOT NULL) AS acknowledged,
    round(quantileExactInclusive(0.5)(minutes_to_acknowledge), 1) AS median_minutes_to_acknowledge,
    round(quantileExactInclusive(0.5)(hours_open), 1) AS median_hours_open
FROM mentoring_mart.alerts
LEFT JOIN
(
    SELECT tenant_id, dedup_key, min(delivered_at) AS told_at
    FROM mentoring_mart.delivery_alerts
    WHERE transition = 'fired' AND delivered_at IS NOT NULL AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, dedup_key
) AS delivered USING (tenant_id, dedup_key)
WHERE NOT withdrawn AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
GROUP BY tenant_id, program_id, rule
ORDER BY tenant_id, program_id, rule
SETTINGS join_use_nulls = 1
