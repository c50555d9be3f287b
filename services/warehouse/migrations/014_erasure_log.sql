-- What each pass of erasing deleted, counted before it was.
-- ORDER BY: passes in time. No partitions: erasures are few.
-- Engine: a pass that was repeated after a crash has an instant of its own; rows with one key are the same.
CREATE TABLE IF NOT EXISTS mentoring.erasure_log {on_cluster}
(
    tenant_id     LowCardinality(String) COMMENT 'The organisation',
    erased_at     DateTime64(6, 'UTC') COMMENT 'When the pass began, by the clock of ClickHouse',
    table_name    LowCardinality(String) COMMENT 'From which table',
    relationships UInt64 COMMENT 'Relationships of which rows were there',
    rows          UInt64 COMMENT 'Rows, replaced ones too'
)
ENGINE = {engine}ReplacingMergeTree
ORDER BY (tenant_id, erased_at, table_name)
COMMENT 'Erasures: how many rows of which tables, when; no ids';

-- Of an event that says that another one stands no more few are there: the index passes over all other rows.
ALTER TABLE mentoring.events {on_cluster} ADD INDEX IF NOT EXISTS by_type type TYPE set(100) GRANULARITY 1;

-- Events that stand: once each, without those that were retracted, without retractions and erasures.
CREATE OR REPLACE VIEW mentoring.standing_events {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    occurred_at     DateTime64(6, 'UTC') COMMENT 'When it happened',
    event_id        UUID COMMENT 'Hash of tenant, source and id',
    type            LowCardinality(String) COMMENT 'What happened',
    source          LowCardinality(String) COMMENT 'The feed that told it',
    id              String COMMENT 'The id that the source gave it',
    recorded_at     DateTime64(6, 'UTC') COMMENT 'When Rapport recorded it',
    actor           LowCardinality(String) COMMENT 'Who did it: mentor, mentee, admin, system',
    evidence        LowCardinality(String) COMMENT 'How it is known',
    session_id      String COMMENT 'The meeting it is about; empty when it is about none',
    goal_id         String COMMENT 'The goal it is about; empty when it is about none',
    minutes         Float32 COMMENT 'Length of a held session; 0 when unknown',
    people          Array(String) COMMENT 'Pseudonymous keys of mentors and mentees, in relationship.started',
    payload         String COMMENT 'All data of the event as JSON',
    position        UInt64 COMMENT 'Place on the log: epoch << 48 | offset',
    inserted_at     DateTime64(6, 'UTC') COMMENT 'When the warehouse stored it'
)
AS SELECT
    tenant_id, program_id, relationship_id, occurred_at, event_id, type, source, id, recorded_at,
    toString(actor) AS actor, toString(evidence) AS evidence, session_id, goal_id, minutes, people, payload, position,
    inserted_at
FROM mentoring.events FINAL
WHERE type NOT IN ('mentoring.event.retracted.v1', 'mentoring.relationship.erased.v1')
    AND (tenant_id, relationship_id, type, source, id, occurred_at) NOT IN
    (
        SELECT
            tenant_id, relationship_id, JSONExtractString(payload, 'type'), JSONExtractString(payload, 'source'),
            JSONExtractString(payload, 'id'), parseDateTime64BestEffortOrZero(JSONExtractString(payload, 'time'), 6, 'UTC')
        FROM mentoring.events
        WHERE type = 'mentoring.event.retracted.v1'
    )
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Events that stand: once each, without what was retracted';
