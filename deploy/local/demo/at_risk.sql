-- Which ten relationships that met in the last 90 days are most at risk, and why?
SELECT relationship_id AS relationship, round(health, 1) AS health, band, round(risk, 2) AS risk, confidence,
       round(dateDiff('second', last_contact, as_of) / 86400) AS silent_days, factors, weights
FROM mentoring_mart.relationship_current
WHERE last_contact >= {end:DateTime64(6, 'UTC')} - INTERVAL 90 DAY AND status = 'active'
ORDER BY mentoring_mart.relationship_current.risk DESC, relationship
LIMIT 10
