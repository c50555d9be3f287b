-- What people said when they were asked, beside the score that their relationship had just before: the query of surveys
-- put every score of every relationship beside it at each question.
-- ORDER BY: one row per relationship stays, however often it was asked. No partitions: one row per relationship.
-- Engine: the latest recomputation is valid; is_deleted takes a relationship away that has given none.
-- What was said before is brought in by `rapport warehouse recompute`.
CREATE TABLE IF NOT EXISTS mentoring.relationship_feedback {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String CODEC(ZSTD(1)) COMMENT 'The mentoring relationship (pair or group)',
    given           Array(DateTime64(6, 'UTC')) CODEC(ZSTD(1)) COMMENT 'When each was given, in time order; the next columns are of the same feedback',
    event_ids       Array(UUID) CODEC(ZSTD(1)) COMMENT 'event_id of the feedback',
    sides           Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'Who gave it: mentor, mentee, admin, system',
    ratings         Array(Float64) CODEC(ZSTD(1)) COMMENT 'The rating, from 1 to 5 whatever its scale was',
    scored          Array(DateTime64(6, 'UTC')) CODEC(ZSTD(1)) COMMENT 'Instant of the newest score before it; 1970 when there is none',
    healths         Array(Int32) CODEC(ZSTD(1)) COMMENT 'Health in that score, in millionths',
    risks           Array(Int32) CODEC(ZSTD(1)) COMMENT 'Risk in that score, in millionths',
    version         UInt64 COMMENT 'When it was recomputed, microseconds since 1970; grows with every recomputation',
    is_deleted      UInt8 COMMENT '1: there is no feedback, or none any more'
)
ENGINE = {engine}ReplacingMergeTree(version, is_deleted)
ORDER BY (tenant_id, program_id, relationship_id)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Feedback of every relationship with its score just before; read with FINAL or through mentoring_mart.feedback';

CREATE OR REPLACE VIEW mentoring_mart.feedback {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    given_at        DateTime64(6, 'UTC') COMMENT 'When it was given',
    event_id        UUID COMMENT 'Identifies the feedback',
    side            LowCardinality(String) COMMENT 'Who gave it: mentor, mentee, admin, system',
    rating          Float64 COMMENT 'The rating, from 1 to 5 whatever its scale was',
    scored_at       Nullable(DateTime64(6, 'UTC')) COMMENT 'Instant of the newest score before it',
    health          Nullable(Float64) COMMENT 'Health in that score',
    risk            Nullable(Float64) COMMENT 'Risk in that score',
    changed_at      DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, relationship_id, given_at, event_id, side, rating,
    nullIf(before, toDateTime64(0, 6, 'UTC')) AS scored_at, if(isNull(scored_at), NULL, one_health / 1e6) AS health,
    if(isNull(scored_at), NULL, one_risk / 1e6) AS risk, fromUnixTimestamp64Micro(toInt64(f.version), 'UTC') AS changed_at
FROM mentoring.relationship_feedback AS f FINAL
ARRAY JOIN
    f.given AS given_at, f.event_ids AS event_id, f.sides AS side, f.ratings AS rating, f.scored AS before,
    f.healths AS one_health, f.risks AS one_risk
COMMENT 'One row per feedback that stands (event_id and given_at), with the newest score before it, as it is known now';
