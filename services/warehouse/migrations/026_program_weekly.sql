-- Programmes week by week: what the mart program_week counted from every day of every relationship at each question.
-- ORDER BY: a programme's weeks in a row. No partitions: one row per programme and week.
-- Engine: the latest recomputation is valid; is_deleted takes away a week of which nothing is left.
-- Weeks of before are computed by `rapport warehouse recompute`.
CREATE TABLE IF NOT EXISTS mentoring.program_weekly {on_cluster}
(
    tenant_id            LowCardinality(String) COMMENT 'The organisation',
    program_id           LowCardinality(String) COMMENT 'The mentoring programme',
    week                 Date COMMENT 'Monday of the week, UTC',
    relationships        UInt32 COMMENT 'Relationships with a score that week, ended ones aside; figures are of the last score of the week',
    active_relationships UInt32 COMMENT 'Relationships with a session or a message that week',
    sessions             UInt32 COMMENT 'Sessions held',
    messages             UInt32 COMMENT 'Messages sent',
    health_sum           Int64 COMMENT 'Sum of health of the relationships, in millionths',
    health_p50           Float64 COMMENT 'Median health, interpolated, in millionths; 0 without relationships',
    at_risk              UInt32 COMMENT 'Relationships with a risk of 0.70 or more',
    on_track             UInt32 COMMENT 'Relationships on track, as coordinators see them',
    needs_attention      UInt32 COMMENT 'Relationships that need attention',
    too_early            UInt32 COMMENT 'Relationships of which it is too early to tell',
    ended                UInt32 COMMENT 'Relationships whose last score of the week says that they have ended',
    version              UInt64 COMMENT 'When it was recomputed, microseconds since 1970; grows with every recomputation',
    is_deleted           UInt8 COMMENT '1: nothing of this week is left'
)
ENGINE = {engine}ReplacingMergeTree(version, is_deleted)
ORDER BY (tenant_id, program_id, week)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Every programme in every week it has scores or events; read with FINAL or through mentoring_mart.program_week';

CREATE OR REPLACE VIEW mentoring_mart.program_week {on_cluster}
(
    tenant_id                 LowCardinality(String) COMMENT 'The organisation',
    program_id                LowCardinality(String) COMMENT 'The mentoring programme',
    week                      Date COMMENT 'Monday of the week, UTC',
    relationships             UInt32 COMMENT 'Relationships with a score that week, ended ones aside; figures are of the last score of the week',
    active_relationships      UInt32 COMMENT 'Relationships with a session or a message that week',
    sessions                  UInt32 COMMENT 'Sessions held',
    messages                  UInt32 COMMENT 'Messages sent',
    sessions_per_relationship Nullable(Float64) COMMENT 'Sessions held for each relationship of the week',
    health_mean               Nullable(Float64) COMMENT 'Mean health',
    health_median             Nullable(Float64) COMMENT 'Median health',
    at_risk                   UInt32 COMMENT 'Relationships with a risk of 0.70 or more',
    share_at_risk             Nullable(Float64) COMMENT 'Their share, 0 to 1',
    on_track                  UInt32 COMMENT 'Relationships on track, as coordinators see them',
    needs_attention           UInt32 COMMENT 'Relationships that need attention',
    too_early                 UInt32 COMMENT 'Relationships of which it is too early to tell',
    ended                     UInt32 COMMENT 'Relationships whose last score of the week says that they have ended',
    changed_at                DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, week, w.relationships AS relationships, active_relationships, w.sessions AS sessions, messages,
    w.sessions / nullIf(w.relationships, 0) AS sessions_per_relationship,
    w.health_sum / 1e6 / nullIf(w.relationships, 0) AS health_mean,
    if(w.relationships = 0, NULL, w.health_p50 / 1e6) AS health_median, w.at_risk AS at_risk,
    w.at_risk / nullIf(w.relationships, 0) AS share_at_risk, on_track, needs_attention, too_early, ended,
    fromUnixTimestamp64Micro(toInt64(w.version), 'UTC') AS changed_at
FROM mentoring.program_weekly AS w FINAL
COMMENT 'One row per programme and week: activity, health, bands, risk';
