-- Copies one month of events like the view mentoring.to_events_by_type; rows that exist already are deduplicated. They
-- count as inserted now: if one of the relationships is erased meanwhile, the next scan of the service finds its rows.
INSERT INTO mentoring.events_by_type
(
    tenant_id, program_id, type, relationship_id, occurred_at, event_id, source, id, recorded_at, actor, payload, version,
    inserted_at
)
SELECT
    tenant_id, program_id, type, relationship_id, occurred_at, event_id, source, id, recorded_at, actor, payload, version,
    now64(6, 'UTC')
FROM mentoring.events
WHERE toYYYYMM(occurred_at) = %(month)s
    AND type NOT IN ('mentoring.message.sent.v1', 'mentoring.session.held.v1', 'mentoring.session.joined.v1',
        'mentoring.session.left.v1', 'mentoring.goal.progressed.v1', 'mentoring.relationship.erased.v1')
    AND (tenant_id, relationship_id) NOT IN (SELECT tenant_id, relationship_id FROM mentoring.erased)
