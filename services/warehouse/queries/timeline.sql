-- What happened to one pair, and what did each event do to its health? Parameter: relationship.
SELECT time, what, round(health, 1) AS health, round(change, 1) AS change, band, round(risk, 2) AS risk
FROM
(
    SELECT
        as_of AS time, arrayStringConcat(causes, ', ') AS what, health,
        if(band_before = 'none', 0, health - health_before) AS change, toString(band) AS band, risk
    FROM mentoring_mart.scores
    WHERE relationship_id = {relationship:String}

    UNION ALL

    SELECT fired_at, 'alert ' || rule || ': ' || summary, health, 0, '', risk
    FROM mentoring_mart.alerts
    WHERE relationship_id = {relationship:String}
)
ORDER BY time, what
