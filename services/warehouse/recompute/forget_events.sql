-- Everything but that they were erased: a replay from this table must know it. mutations_sync: gone when it returns.
ALTER TABLE mentoring.events
DELETE WHERE type != 'mentoring.relationship.erased.v1' AND (tenant_id, relationship_id) IN %(relationships)s
SETTINGS mutations_sync = 2
