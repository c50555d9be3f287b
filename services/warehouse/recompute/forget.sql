-- Deletes the rows of these relationships from one table, except for what an erasure keeps. With mutations_sync they
-- are deleted on every replica when the statement returns.
ALTER TABLE {table} {on_cluster}
DELETE WHERE NOT ({kept}) AND (tenant_id, relationship_id) IN %(relationships)s
SETTINGS mutations_sync = 2
