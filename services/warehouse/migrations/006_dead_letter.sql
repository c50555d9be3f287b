-- Records that could not be stored, without their bytes: those may be personal data. The log still has them.
-- ORDER BY: one row per record on the log stays. No partitions: a few rows, gone after 30 days.
-- Engine: the latest refusal of a record is valid.
CREATE TABLE IF NOT EXISTS mentoring.dead_letter {on_cluster}
(
    topic         LowCardinality(String) COMMENT 'Topic of the record',
    log_partition UInt16 COMMENT 'Its partition',
    log_offset    UInt64 COMMENT 'Its offset',
    reason        String COMMENT 'Why it was refused: a word of the validator, or the error code of ClickHouse',
    path          String COMMENT 'Where in the record; empty when the whole is meant',
    size          UInt64 COMMENT 'Bytes of its value',
    sha256        String COMMENT 'SHA-256 of its value, hex',
    failed_at     DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When it was refused'
)
ENGINE = {engine}ReplacingMergeTree(failed_at)
ORDER BY (topic, log_partition, log_offset)
TTL toDateTime(failed_at) + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'What did not get in, and why; kept for 30 days';
