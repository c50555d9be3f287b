-- What did the calibrated risk predict, and what happened? Every 14 days each pair that had met on three days and within
-- the last 90, in tenths of the risk; no contact in the 30 days after it counts as gone quiet.
WITH
    {end:DateTime64(6, 'UTC')} AS end,
    contacts AS (
        SELECT relationship_id, groupArray(occurred_at) AS times
        FROM mentoring.events FINAL
        WHERE type = 'mentoring.session.held.v1'
        GROUP BY relationship_id
    ),
    instants AS (
        SELECT relationship_id, as_of AS instant, risk / 1e6 AS chance
        FROM mentoring.score_history FINAL
        WHERE calibrated AND has(causes, 'midnight') AND last_contact >= as_of - INTERVAL 90 DAY
            AND toRelativeDayNum(as_of) % 14 = 0
    )
SELECT least(floor(chance * 10), 9) / 10 AS from_risk, count() AS cases, round(avg(chance), 3) AS predicted,
       round(avg(not arrayExists(t -> t > instant AND t <= instant + INTERVAL 30 DAY, times)), 3) AS observed
FROM instants INNER JOIN contacts USING relationship_id
WHERE instant <= end - INTERVAL 30 DAY
    AND length(arrayDistinct(arrayMap(t -> toDate(t), arrayFilter(t -> t <= instant, times)))) >= 3
GROUP BY from_risk
ORDER BY from_risk
