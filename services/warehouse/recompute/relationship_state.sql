-- The newest undeleted row of each touched relationship; a relationship without one is marked as deleted. The newest
-- instant is found first, from narrow columns, so that only its row is read with all columns.
INSERT INTO mentoring.relationship_state
(
    tenant_id, program_id, relationship_id, as_of, health, band, caps, risk, factors, weights, confidence, trend, status,
    started, cadence_days, last_contact, next_session, open_requests, calibrated, profile, position, version, is_deleted
)
WITH
    touched AS
    (
        SELECT key.1 AS tenant_id, key.2 AS program_id, key.3 AS relationship_id
        FROM (SELECT arrayJoin(%(relationships)s) AS key)
    ),
    newest AS
    (
        SELECT tenant_id, program_id, relationship_id, max(as_of)
        FROM mentoring.score_history FINAL
        WHERE (tenant_id, program_id, relationship_id) IN (SELECT tenant_id, program_id, relationship_id FROM touched)
        GROUP BY tenant_id, program_id, relationship_id
    )
SELECT
    tenant_id, program_id, relationship_id, as_of, health, band, caps, risk, factors, weights, confidence, trend, status,
    started, cadence_days, last_contact, next_session, open_requests, calibrated, profile, position,
    %(version)s AS version, score.status = 'none' AS is_deleted
FROM touched
LEFT JOIN
(
    SELECT *
    FROM mentoring.score_history FINAL
    WHERE (tenant_id, program_id, relationship_id, as_of) IN newest
) AS score USING (tenant_id, program_id, relationship_id)
SETTINGS do_not_merge_across_partitions_select_final = 1, join_use_nulls = 0
