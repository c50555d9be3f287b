-- Summarizes one month of events like the view mentoring.to_recorded_monthly; rows that exist already stay as they are.
INSERT INTO mentoring.recorded_monthly (tenant_id, program_id, relationship_id, month, version)
SELECT tenant_id, program_id, relationship_id, toStartOfMonth(recorded_at) AS month, max(e.version) AS version
FROM mentoring.events AS e
WHERE toYYYYMM(occurred_at) = %(month)s AND type != 'mentoring.relationship.erased.v1'
    AND (tenant_id, relationship_id) NOT IN (SELECT tenant_id, relationship_id FROM mentoring.erased)
GROUP BY tenant_id, program_id, relationship_id, month
