-- What is derived beside the state and the days of programmes. All three are recomputed by one writer, with its own
-- version that grows; the latest recomputation is valid, and is_deleted takes away what is no more (Engine).

-- Who is paired with whom, and how it went. ORDER BY: one row per relationship stays. No partitions: as many rows.
CREATE TABLE IF NOT EXISTS mentoring.relationships {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String CODEC(ZSTD(1)) COMMENT 'The mentoring relationship (pair or group)',
    declared         Bool COMMENT 'Whether anybody has told that it started; without, it is known by its events only',
    kind             LowCardinality(String) COMMENT 'one_to_one, group, peer or reverse; empty when it was never declared',
    mentors          Array(String) COMMENT 'Pseudonymous keys of its mentors, as last declared',
    mentees          Array(String) COMMENT 'Pseudonymous keys of its mentees, as last declared',
    coordinator      String COMMENT 'Pseudonymous key of its coordinator; empty when there is none',
    cohort           LowCardinality(String) COMMENT 'Its cohort; empty when there is none',
    cadence_days     Float64 COMMENT 'Agreed days between sessions; 0 when nobody said',
    planned_end      Date COMMENT 'When it is meant to end; 1970 when nobody said',
    started_at       DateTime64(6, 'UTC') COMMENT 'The first declared start; 1970 when it was never declared',
    first_event_at   DateTime64(6, 'UTC') COMMENT 'Its first event',
    last_event_at    DateTime64(6, 'UTC') COMMENT 'Its last event',
    first_session_at DateTime64(6, 'UTC') COMMENT 'Its first held session; 1970 when there is none',
    last_session_at  DateTime64(6, 'UTC') COMMENT 'Its last held session; 1970 when there is none',
    last_contact_at  DateTime64(6, 'UTC') COMMENT 'Its last held session or message; 1970 when there is none',
    sessions         UInt32 COMMENT 'Held sessions',
    events           UInt32 COMMENT 'All events',
    ended_at         DateTime64(6, 'UTC') COMMENT 'When it ended; 1970 while it has not, or has started again since',
    end_planned      Bool COMMENT 'Whether the end was planned',
    end_reason       LowCardinality(String) COMMENT 'Code of the reason; empty while it has not ended',
    end_initiated_by LowCardinality(String) COMMENT 'Who ended it: mentor, mentee, admin, system; empty while it has not ended',
    version          UInt64 COMMENT 'When it was recomputed, microseconds since 1970; grows with every recomputation',
    is_deleted       UInt8 COMMENT '1: none of its events is left'
)
ENGINE = {engine}ReplacingMergeTree(version, is_deleted)
ORDER BY (tenant_id, program_id, relationship_id)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Dimension of relationships; read with FINAL or through mentoring_mart.relationships';

-- Relationships day by day. ORDER BY: most questions name a programme and some days.
-- PARTITION BY month: old days are seldom touched.
CREATE TABLE IF NOT EXISTS mentoring.relationship_daily {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    day             Date CODEC(Delta, ZSTD(1)) COMMENT 'UTC day',
    relationship_id String CODEC(ZSTD(1)) COMMENT 'The mentoring relationship (pair or group)',
    scores          UInt32 CODEC(ZSTD(1)) COMMENT 'Rows of score_history of this day; the next columns mean nothing when there is none',
    health          Int32 CODEC(ZSTD(1)) COMMENT 'Health in the last row of the day, in millionths',
    health_min      Int32 CODEC(ZSTD(1)) COMMENT 'Least health of the day, in millionths',
    health_max      Int32 CODEC(ZSTD(1)) COMMENT 'Greatest health of the day, in millionths',
    risk            Int32 CODEC(ZSTD(1)) COMMENT 'Risk in the last row of the day, in millionths',
    risk_max        Int32 CODEC(ZSTD(1)) COMMENT 'Greatest risk of the day, in millionths',
    confidence      Int32 CODEC(ZSTD(1)) COMMENT 'Confidence in the last row of the day, in millionths',
    band            LowCardinality(String) COMMENT 'Band in the last row of the day; empty without scores',
    status          LowCardinality(String) COMMENT 'Status in the last row of the day; empty without scores',
    events          UInt32 CODEC(ZSTD(1)) COMMENT 'Events of this day, by occurred_at',
    sessions        UInt32 CODEC(ZSTD(1)) COMMENT 'Sessions held',
    messages        UInt32 CODEC(ZSTD(1)) COMMENT 'Messages sent, by either side',
    version         UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'When it was recomputed, microseconds since 1970; grows with every recomputation',
    is_deleted      UInt8 COMMENT '1: this day has neither scores nor events any more'
)
ENGINE = {engine}ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(day)
ORDER BY (tenant_id, program_id, day, relationship_id)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Every relationship on every day it has scores or events; read with FINAL or through mentoring_mart.relationship_day';

-- What happened in programmes, day by day. ORDER BY: a programme's days in a row. No partitions: few rows a day.
CREATE TABLE IF NOT EXISTS mentoring.activity_daily {on_cluster}
(
    tenant_id     LowCardinality(String) COMMENT 'The organisation',
    program_id    LowCardinality(String) COMMENT 'The mentoring programme',
    day           Date COMMENT 'UTC day',
    type          LowCardinality(String) COMMENT 'What happened, for example mentoring.session.held.v1',
    events        UInt32 COMMENT 'How often, by occurred_at',
    relationships UInt32 COMMENT 'In how many relationships',
    minutes       Float64 COMMENT 'Minutes of held sessions whose length is known',
    late          UInt32 COMMENT 'Of the events, those that were recorded more than a day after they happened',
    version       UInt64 COMMENT 'When it was recomputed, microseconds since 1970; grows with every recomputation',
    is_deleted    UInt8 COMMENT '1: nothing of this type is left on this day'
)
ENGINE = {engine}ReplacingMergeTree(version, is_deleted)
ORDER BY (tenant_id, program_id, day, type)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Every type of event on every day of a programme; read with FINAL or through mentoring_mart.activity_day';
