-- One row per relationship, with its history and current state.
SELECT
    pair.tenant_id AS tenant_id, pair.program_id AS program_id, pair.relationship_id AS relationship_id, pair.declared,
    pair.kind, pair.cohort, pair.coordinator, pair.mentors, pair.mentees, pair.started_at, pair.first_session_at,
    pair.last_contact_at, pair.days_to_first_session, pair.sessions, pair.ended, pair.ended_at, pair.end_planned,
    pair.end_reason, now.as_of AS scored_at, now.health AS health, now.band AS band,
    now.coordinator_band AS coordinator_band, now.risk AS risk, now.calibrated AS calibrated, now.status AS status,
    greatest(pair.changed_at, ifNull(now.changed_at, pair.changed_at)) AS changed_at
FROM {{ source('rapport', 'relationships') }} AS pair
LEFT JOIN {{ source('rapport', 'relationship_current') }} AS now USING (tenant_id, program_id, relationship_id)
SETTINGS join_use_nulls = 1
