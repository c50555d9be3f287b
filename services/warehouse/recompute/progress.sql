-- The server clock, and the version of the last complete recomputation.
SELECT
    toUnixTimestamp64Micro(now64(6, 'UTC')) AS now,
    (SELECT max(upto) FROM mentoring.recomputed) AS upto
