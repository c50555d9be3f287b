-- Tables whose rows belong to relationships, whoever made them: also what a replay of the scores left. Which table it is,
-- whatever its name, and whether it says when a row was stored.
SELECT concat('mentoring.', table), any(uuid), countIf(name = 'inserted_at') > 0
FROM system.columns
INNER JOIN
(
    SELECT name AS table, uuid
    FROM system.tables
    WHERE database = 'mentoring' AND engine LIKE '%MergeTree' AND name != 'erased'
) AS there USING (table)
WHERE database = 'mentoring'
GROUP BY table
HAVING countIf(name = 'tenant_id') > 0 AND countIf(name = 'relationship_id') > 0
ORDER BY table
