-- How did the alerts turn out: after how many was there no contact for 30 days? Beside it the same share for pairs that
-- had met in the 90 days before an instant drawn at random. Only instants at least 30 days before the end.
WITH
    {end:DateTime64(6, 'UTC')} AS end,
    contacts AS (
        SELECT relationship_id, groupArray(occurred_at) AS times
        FROM mentoring.events FINAL
        WHERE type = 'mentoring.session.held.v1'
        GROUP BY relationship_id
    ),
    instants AS (
        SELECT rule AS trigger, relationship_id, at AS instant
        FROM mentoring.alert_log FINAL
        WHERE transition = 'fired' AND not_sent = ''
        UNION ALL
        SELECT 'active pairs at random instants', relationship_id, as_of
        FROM mentoring.score_history FINAL
        WHERE has(causes, 'midnight') AND last_contact >= as_of - INTERVAL 90 DAY
            AND cityHash64(relationship_id, as_of) % 20 = 0
    )
SELECT trigger, count() AS instants,
       countIf(not arrayExists(t -> t > instant AND t <= instant + INTERVAL 30 DAY, times)) AS silent,
       round(100 * silent / instants) AS percent
FROM instants INNER JOIN contacts USING relationship_id
WHERE instant <= end - INTERVAL 30 DAY
GROUP BY trigger
ORDER BY trigger = 'active pairs at random instants', trigger
