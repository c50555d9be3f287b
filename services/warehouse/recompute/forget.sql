-- Everything of these relationships in one table, but what an erasure keeps. mutations_sync: gone when it returns, on
-- every replica.
ALTER TABLE {table} {on_cluster}
DELETE WHERE NOT ({kept}) AND (tenant_id, relationship_id) IN %(relationships)s
SETTINGS mutations_sync = 2
