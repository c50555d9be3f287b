-- Most questions about what people said and did name a type of event, and of most types there are few events: in the
-- order of `events` they lie scattered among messages and meetings, and every block would be read for them.
-- ORDER BY: a programme's events of one type lie together, a pair's within them; event_id comes last and collapses repeats.
-- PARTITION BY year of event time: few rows, and an insert, which is of one month, touches one partition.
-- Engine: as that of `events`, of rows with the same key the first on the log stays.
-- Events of before are brought in by `rapport warehouse recompute`.
CREATE TABLE IF NOT EXISTS mentoring.events_by_type {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    type            LowCardinality(String) COMMENT 'What happened, for example mentoring.goal.set.v1',
    relationship_id String CODEC(ZSTD(1)) COMMENT 'The mentoring relationship (pair or group)',
    occurred_at     DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When it happened',
    event_id        UUID COMMENT 'Hash of tenant, source and id',
    source          LowCardinality(String) COMMENT 'The feed that told it',
    id              String CODEC(ZSTD(1)) COMMENT 'The id that the source gave it',
    recorded_at     DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When Rapport recorded it',
    actor           Enum8('mentor' = 1, 'mentee' = 2, 'admin' = 3, 'system' = 4) COMMENT 'Who did it',
    payload         String CODEC(ZSTD(3)) COMMENT 'All data of the event as JSON: ids and codes, no free text',
    version         UInt64 CODEC(Delta, ZSTD(1)) COMMENT '2^63 - position: of repeats the first on the log is valid',
    inserted_at     DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the warehouse stored it',
    INDEX by_insertion inserted_at TYPE minmax GRANULARITY 1
)
ENGINE = {engine}ReplacingMergeTree(version)
PARTITION BY toYear(occurred_at)
ORDER BY (tenant_id, program_id, type, relationship_id, occurred_at, event_id)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Events but those that are told daily, ordered by type; read with FINAL or through mentoring_mart.events_by_type';

-- A repeat of an insert into `events` repeats its rows here, and the engine absorbs them: a view may fill this table.
CREATE MATERIALIZED VIEW IF NOT EXISTS mentoring.to_events_by_type {on_cluster} TO mentoring.events_by_type
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    type            LowCardinality(String) COMMENT 'What happened',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    occurred_at     DateTime64(6, 'UTC') COMMENT 'When it happened',
    event_id        UUID COMMENT 'Hash of tenant, source and id',
    source          LowCardinality(String) COMMENT 'The feed that told it',
    id              String COMMENT 'The id that the source gave it',
    recorded_at     DateTime64(6, 'UTC') COMMENT 'When Rapport recorded it',
    actor           Enum8('mentor' = 1, 'mentee' = 2, 'admin' = 3, 'system' = 4) COMMENT 'Who did it',
    payload         String COMMENT 'All data of the event as JSON',
    version         UInt64 COMMENT '2^63 - position',
    inserted_at     DateTime64(6, 'UTC') COMMENT 'When the warehouse stored it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, type, relationship_id, occurred_at, event_id, source, id, recorded_at, actor, payload, version,
    inserted_at
FROM mentoring.events
WHERE type NOT IN ('mentoring.message.sent.v1', 'mentoring.session.held.v1', 'mentoring.session.joined.v1',
    'mentoring.session.left.v1', 'mentoring.goal.progressed.v1', 'mentoring.relationship.erased.v1')
COMMENT 'Fills events_by_type from what is stored in events';

CREATE OR REPLACE VIEW mentoring_mart.events_by_type {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    occurred_at     DateTime64(6, 'UTC') COMMENT 'When it happened',
    event_id        UUID COMMENT 'Identifies the event',
    type            LowCardinality(String) COMMENT 'What happened, for example mentoring.goal.set.v1',
    source          LowCardinality(String) COMMENT 'The feed that told it',
    id              String COMMENT 'The id that the source gave it',
    recorded_at     DateTime64(6, 'UTC') COMMENT 'When Rapport recorded it',
    actor           LowCardinality(String) COMMENT 'Who did it: mentor, mentee, admin, system',
    retracted       Bool COMMENT 'Whether a later event says that it stands no more',
    payload         String COMMENT 'All data of the event as JSON',
    changed_at      DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, relationship_id, occurred_at, event_id, type, source, id, recorded_at,
    toString(actor) AS actor,
    toBool((tenant_id, relationship_id, type, source, id, occurred_at) IN
    (
        SELECT
            tenant_id, relationship_id, JSONExtractString(payload, 'type'), JSONExtractString(payload, 'source'),
            JSONExtractString(payload, 'id'), parseDateTime64BestEffortOrZero(JSONExtractString(payload, 'time'), 6, 'UTC')
        FROM mentoring.events_by_type
        WHERE type = 'mentoring.event.retracted.v1'
    )) AS retracted,
    payload, inserted_at AS changed_at
FROM mentoring.events_by_type FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per event (event_id and occurred_at) of a type that is not told daily: quicker than events where a question names such types; without messages, held sessions, attendance and progress of goals';
