-- Tables that are made from others know nothing of what was stored before there were any: that they have been filled is
-- written down here, so that it is told until it was done, whatever ended in between.
-- ORDER BY: one row per table. No partitions: a few rows. Engine: the latest filling is the one that is told.
CREATE TABLE IF NOT EXISTS mentoring.filled {on_cluster}
(
    name      LowCardinality(String) COMMENT 'A table that is copied or derived from others, with its database',
    filled_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When it was last made as a whole, or found to be new in a database that had stored nothing yet'
)
ENGINE = {engine}ReplacingMergeTree(filled_at)
ORDER BY name
COMMENT 'Tables that know everything that was stored before they were made; written by rapport warehouse migrate and recompute';
