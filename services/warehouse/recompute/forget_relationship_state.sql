-- mutations_sync: gone when it returns, on every replica.
ALTER TABLE mentoring.relationship_state
DELETE WHERE (tenant_id, relationship_id) IN %(relationships)s
SETTINGS mutations_sync = 2
