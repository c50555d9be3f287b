-- How many alerts were sent, by rule?
SELECT rule, countIf(transition = 'fired') AS fired, countIf(transition = 'resolved') AS resolved,
       uniqExactIf(relationship_id, transition = 'fired') AS relationships
FROM mentoring.alert_log FINAL
WHERE not_sent = ''
GROUP BY rule
ORDER BY rule
