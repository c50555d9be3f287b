-- Whoever only reads marts is told, too, of tables that do not know yet what was stored before they were made.
-- The names are those under which the registry writes it down: a test holds them together.
CREATE OR REPLACE VIEW mentoring_mart.filled_tables {on_cluster}
(
    table_name LowCardinality(String) COMMENT 'A table that is copied or derived from others, which marts read',
    filled     Bool COMMENT 'Whether it knows all that was stored before it was made: until then figures of that time are missing or too small, and rapport warehouse recompute fills it',
    filled_at  Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was last made as a whole, or found to be new in a database that had stored nothing yet',
    changed_at DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse; now, while the table is not filled'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    made.1 AS table_name, toBool(isNotNull(f.filled_at)) AS filled, f.filled_at AS filled_at,
    coalesce(f.filled_at, now64(6, 'UTC')) AS changed_at
FROM
(
    SELECT arrayJoin([
        ('mentoring.events_by_type', 'mentoring.events_by_type'),
        ('mentoring.relationship_state', 'mentoring.relationship_state'),
        ('mentoring.relationships', 'mentoring.relationships 3'),
        ('mentoring.relationship_replies', 'mentoring.relationship_replies'),
        ('mentoring.relationship_feedback', 'mentoring.relationship_feedback'),
        ('mentoring.relationship_daily', 'mentoring.relationship_daily'),
        ('mentoring.relationship_monthly', 'mentoring.relationship_monthly'),
        ('mentoring.activity_daily', 'mentoring.activity_daily'),
        ('mentoring.program_daily', 'mentoring.program_daily'),
        ('mentoring.program_weekly', 'mentoring.program_weekly')
    ]) AS made
) AS registered
LEFT JOIN (SELECT toString(name) AS name, max(filled_at) AS filled_at FROM mentoring.filled GROUP BY name) AS f
    ON f.name = made.2
SETTINGS join_use_nulls = 1
COMMENT 'One row per table that is copied or derived from others (table_name): whether it knows all that was stored before it was made';
