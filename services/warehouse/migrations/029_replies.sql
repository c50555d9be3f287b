-- Answers to messages: what the query of reply times searched for among all messages at each question.
-- An answer may come months after its message, so that a pair's are found together.
-- ORDER BY: one row per relationship stays, however many answers it has. No partitions: one row per relationship.
-- Engine: the latest recomputation is valid; is_deleted takes a relationship away that has no answers.
-- Answers of before are found by `rapport warehouse recompute`.
CREATE TABLE IF NOT EXISTS mentoring.relationship_replies {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String CODEC(ZSTD(1)) COMMENT 'The mentoring relationship (pair or group)',
    answered        Array(DateTime64(6, 'UTC')) CODEC(ZSTD(1)) COMMENT 'When each answer was sent, in time order; the next columns are of the same answers',
    answers         Array(UUID) CODEC(ZSTD(1)) COMMENT 'event_id of the answer',
    asked           Array(DateTime64(6, 'UTC')) CODEC(ZSTD(1)) COMMENT 'When the message that it answers was sent',
    sides           Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'Who answered: mentor, mentee, admin, system',
    version         UInt64 COMMENT 'When it was recomputed, microseconds since 1970; grows with every recomputation',
    is_deleted      UInt8 COMMENT '1: there are no answers, or none any more'
)
ENGINE = {engine}ReplacingMergeTree(version, is_deleted)
ORDER BY (tenant_id, program_id, relationship_id)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Answers to messages of every relationship; read with FINAL or through mentoring_mart.replies';

CREATE OR REPLACE VIEW mentoring_mart.replies {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    answered_at     DateTime64(6, 'UTC') COMMENT 'When the answer was sent',
    event_id        UUID COMMENT 'Identifies the answer',
    asked_at        DateTime64(6, 'UTC') COMMENT 'When the message that it answers was sent',
    side            LowCardinality(String) COMMENT 'Who answered: mentor, mentee, admin, system',
    hours           Float64 COMMENT 'From the message to the answer, whole seconds',
    changed_at      DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, relationship_id, answered_at, event_id, asked_at, side,
    dateDiff('second', asked_at, answered_at) / 3600 AS hours,
    fromUnixTimestamp64Micro(toInt64(r.version), 'UTC') AS changed_at
FROM mentoring.relationship_replies AS r FINAL
ARRAY JOIN r.answered AS answered_at, r.answers AS event_id, r.asked AS asked_at, r.sides AS side
COMMENT 'One row per answer to a message (event_id and answered_at) and message that it answers (asked_at), of messages that stand';
