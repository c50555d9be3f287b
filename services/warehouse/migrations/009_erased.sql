-- Relationships that were erased: whatever of them is stored, or comes once more in a replay of the log, is deleted.
-- ORDER BY: one row per relationship stays. No partitions: erasures are few.
-- Engine: the first row is as good as any later one; erased_at says when the warehouse heard of it.
CREATE TABLE IF NOT EXISTS mentoring.erased {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    relationship_id String CODEC(ZSTD(1)) COMMENT 'The mentoring relationship that was erased',
    erased_at       DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When the warehouse heard of it'
)
ENGINE = {engine}ReplacingMergeTree
ORDER BY (tenant_id, relationship_id)
COMMENT 'Relationships of which nothing is kept but that they were erased';
