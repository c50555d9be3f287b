-- How many events were accepted (distinct source and id), and how many rows are stored?
SELECT uniqExact(source, id) AS accepted, count() AS rows FROM mentoring.events FINAL
