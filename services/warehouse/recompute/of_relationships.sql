-- Tables whose rows belong to relationships, whoever created them, including tables that a replay of the scores left:
-- the uuid of each table, and whether it has an insertion time.
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
