-- What share of sessions is cancelled or missed each month, and how does it change?
SELECT
    tenant_id, program_id, month, held, cancelled, missed,
    round((cancelled + missed) / nullIf(held + cancelled + missed, 0), 3) AS rate,
    round(rate - lagInFrame(rate) OVER
        (PARTITION BY tenant_id, program_id ORDER BY month ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), 3) AS change
FROM
(
    SELECT
        tenant_id, program_id, toStartOfMonth(day) AS month, sumIf(events, type = 'mentoring.session.held.v1') AS held,
        sumIf(events, type = 'mentoring.session.cancelled.v1') AS cancelled,
        sumIf(events, type = 'mentoring.session.missed.v1') AS missed
    FROM mentoring_mart.activity_day
    WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, month
)
WHERE held + cancelled + missed > 0
ORDER BY tenant_id, program_id, month
