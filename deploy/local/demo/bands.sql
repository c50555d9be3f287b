-- How many relationships are in which band?
SELECT band, count() AS relationships, round(avg(health), 1) AS mean_health, round(avg(risk), 2) AS mean_risk
FROM mentoring_mart.relationship_current
GROUP BY band
ORDER BY mean_health DESC
