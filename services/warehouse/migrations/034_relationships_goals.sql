-- What becomes of goals, counted with the rest of what is told of relationships: the query of goals read each event about
-- one, and what it says of SMART, at each question.
-- What was told before is counted by `rapport warehouse recompute`.
ALTER TABLE mentoring.relationships {on_cluster}
    ADD COLUMN IF NOT EXISTS goals_revised UInt32 COMMENT 'Revisions of goals' AFTER goals_achieved;

ALTER TABLE mentoring.relationships {on_cluster}
    ADD COLUMN IF NOT EXISTS goals_missed UInt32 COMMENT 'Goals missed' AFTER goals_revised;

ALTER TABLE mentoring.relationships {on_cluster}
    ADD COLUMN IF NOT EXISTS goals_abandoned UInt32 COMMENT 'Goals abandoned' AFTER goals_missed;

ALTER TABLE mentoring.relationships {on_cluster}
    ADD COLUMN IF NOT EXISTS milestones_celebrated UInt32 COMMENT 'Milestones celebrated' AFTER goals_abandoned;

ALTER TABLE mentoring.relationships {on_cluster}
    ADD COLUMN IF NOT EXISTS smart_goals UInt32 COMMENT 'Goals set of which it is told how SMART they are' AFTER milestones_celebrated;

ALTER TABLE mentoring.relationships {on_cluster}
    ADD COLUMN IF NOT EXISTS smart_criteria UInt32 COMMENT 'How many of the five criteria of SMART these meet, all together' AFTER smart_goals;

CREATE OR REPLACE VIEW mentoring_mart.relationships {on_cluster}
(
    tenant_id             LowCardinality(String) COMMENT 'The organisation',
    program_id            LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id       String COMMENT 'The mentoring relationship (pair or group)',
    declared              Bool COMMENT 'Whether anybody has told that it started; without, it is known by its events only',
    kind                  Nullable(String) COMMENT 'one_to_one, group, peer or reverse',
    mentors               UInt32 COMMENT 'How many mentors; who: relationship_people',
    mentees               UInt32 COMMENT 'How many mentees',
    coordinator           Nullable(String) COMMENT 'Pseudonymous key of its coordinator, or of its programme''s',
    cohort                Nullable(String) COMMENT 'Its cohort',
    cadence_days          Nullable(Float64) COMMENT 'Agreed days between sessions',
    planned_end           Nullable(Date) COMMENT 'When it is meant to end',
    started_at            Nullable(DateTime64(6, 'UTC')) COMMENT 'The first declared start',
    first_event_at        DateTime64(6, 'UTC') COMMENT 'Its first event',
    last_event_at         DateTime64(6, 'UTC') COMMENT 'Its last event',
    first_session_at      Nullable(DateTime64(6, 'UTC')) COMMENT 'Its first held session',
    last_session_at       Nullable(DateTime64(6, 'UTC')) COMMENT 'Its last held session',
    last_contact_at       Nullable(DateTime64(6, 'UTC')) COMMENT 'Its last held session or message',
    days_to_first_session Nullable(Float64) COMMENT 'From its declared start to its first held session',
    sessions              UInt32 COMMENT 'Held sessions',
    events                UInt32 COMMENT 'All events that stand',
    sessions_scheduled    UInt32 COMMENT 'Sessions scheduled, held or not',
    goals_set             UInt32 COMMENT 'Goals set',
    goals_achieved        UInt32 COMMENT 'Goals achieved',
    goals_revised         UInt32 COMMENT 'Revisions of goals',
    goals_missed          UInt32 COMMENT 'Goals missed',
    goals_abandoned       UInt32 COMMENT 'Goals abandoned',
    milestones_celebrated UInt32 COMMENT 'Milestones celebrated',
    smart_goals           UInt32 COMMENT 'Goals set of which it is told how SMART they are',
    smart_criteria        UInt32 COMMENT 'How many of the five criteria of SMART these meet, all together',
    ended                 Bool COMMENT 'Whether it has ended',
    ended_at              Nullable(DateTime64(6, 'UTC')) COMMENT 'When it ended',
    end_planned           Nullable(Bool) COMMENT 'Whether the end was planned',
    end_reason            Nullable(String) COMMENT 'Code of the reason',
    end_initiated_by      Nullable(String) COMMENT 'Who ended it: mentor, mentee, admin, system',
    days_together         Nullable(Float64) COMMENT 'From its declared start to its end, or to its last event',
    changed_at            DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    r.tenant_id AS tenant_id, r.program_id AS program_id, relationship_id, declared, nullIf(toString(r.kind), '') AS kind,
    length(r.mentors) AS mentors, length(r.mentees) AS mentees,
    nullIf(if(r.coordinator = '', ifNull(p.coordinator, ''), r.coordinator), '') AS coordinator,
    nullIf(toString(r.cohort), '') AS cohort, nullIf(r.cadence_days, 0) AS cadence_days,
    nullIf(r.planned_end, toDate(0)) AS planned_end, nullIf(r.started_at, toDateTime64(0, 6, 'UTC')) AS started_at,
    first_event_at, last_event_at, nullIf(r.first_session_at, toDateTime64(0, 6, 'UTC')) AS first_session_at,
    nullIf(r.last_session_at, toDateTime64(0, 6, 'UTC')) AS last_session_at,
    nullIf(r.last_contact_at, toDateTime64(0, 6, 'UTC')) AS last_contact_at,
    dateDiff('second', started_at, first_session_at) / 86400 AS days_to_first_session, sessions, events,
    sessions_scheduled, goals_set, goals_achieved, goals_revised, goals_missed, goals_abandoned, milestones_celebrated,
    smart_goals, smart_criteria,
    toBool(r.ended_at != toDateTime64(0, 6, 'UTC')) AS ended, nullIf(r.ended_at, toDateTime64(0, 6, 'UTC')) AS ended_at,
    if(ended, r.end_planned, NULL) AS end_planned, nullIf(toString(r.end_reason), '') AS end_reason,
    nullIf(toString(r.end_initiated_by), '') AS end_initiated_by,
    dateDiff('second', started_at, ifNull(ended_at, last_event_at)) / 86400 AS days_together,
    fromUnixTimestamp64Micro(toInt64(r.version), 'UTC') AS changed_at
FROM mentoring.relationships AS r FINAL
LEFT JOIN mentoring.programs AS p FINAL ON p.tenant_id = r.tenant_id AND p.program_id = r.program_id
SETTINGS join_use_nulls = 1
COMMENT 'One row per relationship: who, since when, how it went and how it ended';
