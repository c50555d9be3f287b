-- What was not let in, and why, without its bytes: those may be personal data. The topic keeps them for 30 days.
-- ORDER BY: one row per payload of a record, and one more when it was sent again. No partitions: few rows.
-- Engine: the latest rejection of a payload is valid. TTL: as long as the topic.
CREATE TABLE IF NOT EXISTS mentoring.rejected {on_cluster}
(
    origin_topic     LowCardinality(String) COMMENT 'Topic of the original',
    origin_partition UInt32 COMMENT 'Its partition',
    origin_offset    UInt64 COMMENT 'Its offset',
    part             UInt32 COMMENT 'Which of its payloads; 0 when it is one',
    requeued         Bool COMMENT 'true: this row says that it was sent again, not that it was rejected',
    reason           LowCardinality(String) COMMENT 'Why: a word of the admission, for example invalid, unresolved, conflict',
    path             String COMMENT 'Where in the input; ? for names that are none of ours; empty when the whole is meant',
    tool             LowCardinality(String) COMMENT 'By which tool it came; other when it is none of ours',
    size             UInt64 COMMENT 'Bytes of the original',
    sha256           String COMMENT 'SHA-256 of what is kept of it, hex',
    rejected_at      DateTime64(6, 'UTC') COMMENT 'When it was set aside, or sent again; 1970 when its record has no time',
    log_partition    UInt16 COMMENT 'Partition of mentoring.rejected',
    log_offset       UInt64 COMMENT 'Offset in that partition',
    inserted_at      DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When the warehouse stored it'
)
ENGINE = {engine}ReplacingMergeTree(log_offset)
ORDER BY (origin_topic, origin_partition, origin_offset, part, requeued)
TTL toDateTime(inserted_at) + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Inputs that were not let in, kept for 30 days; read with FINAL or through mentoring_mart.rejected_inputs';
