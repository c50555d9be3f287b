-- Every relationship with scores or events now or before: derived rows whose sources are all gone must be deleted, too.
SELECT DISTINCT tenant_id, program_id, relationship_id
FROM
(
    SELECT DISTINCT tenant_id, program_id, relationship_id FROM mentoring.score_history

    UNION ALL

    SELECT tenant_id, program_id, relationship_id FROM mentoring.relationship_state

    UNION ALL

    SELECT DISTINCT tenant_id, program_id, relationship_id FROM mentoring.events

    UNION ALL

    SELECT tenant_id, program_id, relationship_id FROM mentoring.relationships
)
WHERE (tenant_id, relationship_id) NOT IN (SELECT tenant_id, relationship_id FROM mentoring.erased)
ORDER BY tenant_id, program_id, relationship_id
