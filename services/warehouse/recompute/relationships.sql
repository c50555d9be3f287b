-- Rebuilds touched relationships from their valid events; a relationship without any is marked as deleted.
INSERT INTO mentoring.relationships
(
    tenant_id, program_id, relationship_id, declared, kind, mentors, mentees, coordinator, cohort, cadence_days,
    planned_end, started_at, first_event_at, last_event_at, first_session_at, last_session_at, last_contact_at, sessions,
    events, sessions_scheduled, goals_set, goals_achieved, goals_revised, goals_missed, goals_abandoned,
    milestones_celebrated, smart_goals, smart_criteria, ended_at, end_planned, end_reason, end_initiated_by, version,
    is_deleted
)
WITH
    touched AS
    (
        SELECT key.1 AS tenant_id, key.2 AS program_id, key.3 AS relationship_id
        FROM (SELECT arrayJoin(%(relationships)s) AS key)
    ),
    told AS
    (
        SELECT
            tenant_id, program_id, relationship_id,
            countIf(type = 'mentoring.relationship.started.v1') > 0 AS declared,
            argMaxIf(payload, (occurred_at, position), type = 'mentoring.relationship.started.v1') AS start,
            argMaxIf(payload, (occurred_at, position), type = 'mentoring.relationship.ended.v1') AS end,
            minIf(occurred_at, type = 'mentoring.relationship.started.v1') AS started_at,
            maxIf(occurred_at, type = 'mentoring.relationship.started.v1') AS started_last,
            maxIf(occurred_at, type = 'mentoring.relationship.ended.v1') AS ended_last,
            min(occurred_at) AS first_event_at, max(occurred_at) AS last_event_at,
            minIf(occurred_at, type = 'mentoring.session.held.v1') AS first_session_at,
            maxIf(occurred_at, type = 'mentoring.session.held.v1') AS last_session_at,
            maxIf(occurred_at, type IN ('mentoring.session.held.v1', 'mentoring.message.sent.v1')) AS last_contact_at,
            countIf(type = 'mentoring.session.held.v1') AS sessions, count() AS events,
            -- A session may be booked several times: by each calendar that has it, or again after a cancellation.
            uniqExactIf(JSONExtractString(payload, 'session_id'), type = 'mentoring.session.scheduled.v1')
                AS sessions_scheduled,
            countIf(type = 'mentoring.goal.set.v1') AS goals_set,
            countIf(type = 'mentoring.goal.achieved.v1') AS goals_achieved,
            countIf(type = 'mentoring.goal.revised.v1') AS goals_revised,
            countIf(type = 'mentoring.goal.missed.v1') AS goals_missed,
            countIf(type = 'mentoring.goal.abandoned.v1') AS goals_abandoned,
            countIf(type = 'mentoring.milestone.celebrated.v1') AS milestones_celebrated,
            groupArrayIf(JSONExtractRaw(payload, 'smart'), type = 'mentoring.goal.set.v1' AND JSONHas(payload, 'smart'))
                AS smart_told,
            ended_last > started_last OR (ended_last = started_last AND end != '') AS has_ended
        FROM mentoring.standing_events
        WHERE (tenant_id, program_id, relationship_id) IN (SELECT tenant_id, program_id, relationship_id FROM touched)
        GROUP BY tenant_id, program_id, relationship_id
    )
SELECT
    tenant_id, program_id, relationship_id, declared,
    JSONExtractString(start, 'kind'), JSONExtract(start, 'mentors', 'Array(String)'),
    JSONExtract(start, 'mentees', 'Array(String)'), JSONExtractString(start, 'coordinator'),
    JSONExtractString(start, 'cohort'), JSONExtractFloat(start, 'cadence_days'),
    toDateOrZero(JSONExtractString(start, 'planned_end')),
    started_at, first_event_at, last_event_at, first_session_at, last_session_at, last_contact_at, sessions, events,
    sessions_scheduled, goals_set, goals_achieved, goals_revised, goals_missed, goals_abandoned, milestones_celebrated,
    length(smart_told),
    arraySum(smart -> arraySum(criterion -> JSONExtractBool(smart, criterion),
        ['specific', 'measurable', 'achievable', 'relevant', 'time_bound']), smart_told),
    if(has_ended, ended_last, toDateTime64(0, 6, 'UTC')), has_ended AND JSONExtractBool(end, 'planned'),
    if(has_ended, JSONExtractString(end, 'reason_code'), ''),
    if(has_ended, JSONExtractString(end, 'initiated_by'), ''),
    %(version)s AS version, events = 0 AS is_deleted
FROM touched
LEFT JOIN told USING (tenant_id, program_id, relationship_id)
SETTINGS join_use_nulls = 0
