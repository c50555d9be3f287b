-- Programmes as operators describe them. A programme that nobody has described has no row, and its days are UTC.
-- ORDER BY: one row per programme stays. No partitions: a few hundred rows.
-- Engine: the last on the topic is valid; is_deleted takes a programme away.
CREATE TABLE IF NOT EXISTS mentoring.programs {on_cluster}
(
    tenant_id        LowCardinality(String) COMMENT 'The organisation',
    program_id       LowCardinality(String) COMMENT 'The mentoring programme',
    region           String COMMENT 'Where it is; empty when nobody said',
    time_zone        LowCardinality(String) COMMENT 'IANA name of its zone',
    coordinator      String COMMENT 'Pseudonymous key of its coordinator; empty when there is none',
    profile          LowCardinality(String) COMMENT 'Newest version of its scoring profile',
    cadence_days     Float64 COMMENT 'Expected days between sessions, unless a relationship says otherwise',
    horizon_days     Float64 COMMENT 'Horizon of the risk, in days',
    offsets_since    Array(Int64) COMMENT 'Seconds since 1970 from which each of offsets holds, oldest first',
    offsets          Array(Int32) COMMENT 'How many seconds the clocks of its zone are ahead of UTC',
    expected_sources Array(String) COMMENT 'Feeds that are expected to speak',
    expected_hours   Array(Float64) COMMENT 'How often each, in hours',
    recorded_at      DateTime64(6, 'UTC') COMMENT 'When it was applied; 1970 in a deleted row',
    version          UInt64 COMMENT 'Offset of its record: the greatest is valid',
    is_deleted       UInt8 COMMENT '1: the programme was withdrawn',
    inserted_at      DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When the warehouse stored it'
)
ENGINE = {engine}ReplacingMergeTree(version, is_deleted)
ORDER BY (tenant_id, program_id)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Programmes as they are described; read with FINAL or through mentoring_mart.programs';
