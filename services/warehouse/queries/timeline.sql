-- What happened to one pair, and what did each event do to its health?
-- Parameter relationship: the id of the pair
SELECT
    time, what, round(health, 1) AS health, round(change, 1) AS change, band, round(risk, 2) AS risk, calibrated
FROM
(
    SELECT as_of AS time, causes AS what, health, health - health_before AS change, band, risk, calibrated
    FROM mentoring_mart.scores
    WHERE relationship_id = {relationship:String} AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})

    UNION ALL

    SELECT fired_at, 'alert ' || rule || ': ' || summary, health, NULL, '', risk, calibrated
    FROM mentoring_mart.alerts
    WHERE NOT withdrawn AND relationship_id = {relationship:String} AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
)
ORDER BY time, what
