-- Views with parameters have a database of their own: they have no columns before they are called, which breaks tools
-- that look at every table.
CREATE DATABASE IF NOT EXISTS mentoring_at {on_cluster}
COMMENT 'Views with parameters, for queries by hand: SELECT ... FROM mentoring_at.scores_known(known_at = ...)';

CREATE OR REPLACE VIEW mentoring_at.scores_known {on_cluster}
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT * EXCEPT (known_to)
FROM mentoring_mart.score_versions
WHERE known_from <= {known_at:DateTime64(6, 'UTC')}
    AND (isNull(known_to) OR known_to > {known_at:DateTime64(6, 'UTC')})
    AND as_of <= {known_at:DateTime64(6, 'UTC')}
COMMENT 'One row per relationship and scored instant, as it was known at known_at';

CREATE OR REPLACE VIEW mentoring_at.relationships_known {on_cluster}
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT *
FROM
(
    SELECT *
    FROM mentoring_at.scores_known(known_at = {known_at:DateTime64(6, 'UTC')})
    ORDER BY as_of DESC
    LIMIT 1 BY tenant_id, program_id, relationship_id
) AS newest
COMMENT 'One row per relationship: the newest score that was known at known_at';
