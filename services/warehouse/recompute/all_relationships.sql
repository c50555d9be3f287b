-- Every relationship that has scores, or had: one whose rows are all gone has to go too.
SELECT DISTINCT tenant_id, program_id, relationship_id
FROM
(
    SELECT DISTINCT tenant_id, program_id, relationship_id FROM mentoring.score_history

    UNION ALL

    SELECT tenant_id, program_id, relationship_id FROM mentoring.relationship_state
)
ORDER BY tenant_id, program_id, relationship_id
