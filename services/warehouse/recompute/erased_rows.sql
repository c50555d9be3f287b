-- The number of rows that an erasure is about to delete from one table, by tenant.
SELECT tenant_id, uniqExact(relationship_id), count()
FROM {table}
WHERE NOT ({kept}) AND (tenant_id, relationship_id) IN %(relationships)s
GROUP BY tenant_id
ORDER BY tenant_id
