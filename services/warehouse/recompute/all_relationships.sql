-- Every relationship that has scores or events, or had: one whose rows are all gone has to go too.
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
