-- Up to where the log was stored when a backup began: from there the service goes on after a restore.
-- ORDER BY: one row per backup and partition. No partitions: few rows. Engine: the latest backup of a name is valid.
CREATE TABLE IF NOT EXISTS mentoring.backup_offsets {on_cluster}
(
    name          String COMMENT 'Name of the backup',
    topic         LowCardinality(String) COMMENT 'Topic',
    log_partition UInt32 COMMENT 'Its partition',
    log_offset    UInt64 COMMENT 'The next offset that was to be read when the backup began',
    noted_at      DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When that was noted'
)
ENGINE = {engine}ReplacingMergeTree(noted_at)
ORDER BY (name, topic, log_partition)
COMMENT 'Offsets of backups; written by rapport warehouse backup';
