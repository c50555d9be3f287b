-- Databases and the ledger of migrations. Run before every migration, never recorded itself.
CREATE DATABASE IF NOT EXISTS mentoring {on_cluster}
COMMENT 'Facts, scores and alerts as they are on the log; written by the warehouse service only';

CREATE DATABASE IF NOT EXISTS mentoring_mart {on_cluster}
COMMENT 'Views for data teams: one row per thing, ready-to-read numbers, stable names';

-- Engine: the newest state of a migration replaces the older ones. ORDER BY name: one row per migration.
-- No partitions: a few dozen rows.
CREATE TABLE IF NOT EXISTS mentoring.migrations {on_cluster}
(
    name       String COMMENT 'File name of the migration without .sql',
    checksum   String COMMENT 'SHA-256 of the file, hex',
    state      Enum8('in_progress' = 1, 'completed' = 2) COMMENT 'in_progress: begun and perhaps not finished, will be run again',
    changed_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When it came into this state'
)
ENGINE = {engine}ReplacingMergeTree(changed_at)
ORDER BY name
COMMENT 'Which migrations were applied; written by rapport warehouse migrate';
