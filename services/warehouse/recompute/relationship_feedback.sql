-- Feedback of the given relationships, each with the newest score before it, by current knowledge.
INSERT INTO mentoring.relationship_feedback
(
    tenant_id, program_id, relationship_id, given, event_ids, sides, ratings, scored, healths, risks, version, is_deleted
)
WITH
    given AS
    (
        SELECT key.1 AS tenant_id, key.2 AS program_id, key.3 AS relationship_id
        FROM (SELECT arrayJoin(%(relationships)s) AS key)
    ),
    told AS
    (
        SELECT
            tenant_id, program_id, relationship_id, occurred_at, event_id, toString(actor) AS side,
            JSONExtractFloat(payload, 'scale_min') AS least,
            1 + 4 * (JSONExtractFloat(payload, 'rating') - least) / (JSONExtractFloat(payload, 'scale_max') - least) AS rating
        FROM mentoring.events_by_type FINAL
        WHERE type = 'mentoring.feedback.given.v1'
            AND (tenant_id, program_id, relationship_id) IN (SELECT tenant_id, program_id, relationship_id FROM given)
            AND (tenant_id, relationship_id, type, source, id, occurred_at) NOT IN
            (
                SELECT
                    tenant_id, relationship_id, JSONExtractString(payload, 'type'), JSONExtractString(payload, 'source'),
                    JSONExtractString(payload, 'id'),
                    parseDateTime64BestEffortOrZero(JSONExtractString(payload, 'time'), 6, 'UTC')
                FROM mentoring.events_by_type
                WHERE type = 'mentoring.event.retracted.v1'
            )
    ),
    touched AS
    (
        SELECT tenant_id, program_id, relationship_id FROM told

        UNION DISTINCT

        SELECT tenant_id, program_id, relationship_id
        FROM mentoring.relationship_feedback
        WHERE (tenant_id, program_id, relationship_id) IN (SELECT tenant_id, program_id, relationship_id FROM given)
    ),
    scores AS
    (
        SELECT tenant_id, program_id, relationship_id, as_of, health, risk
        FROM mentoring.score_history FINAL
        WHERE (tenant_id, program_id, relationship_id) IN (SELECT tenant_id, program_id, relationship_id FROM told)
    ),
    found AS
    (
        SELECT
            tenant_id, program_id, relationship_id,
            arraySort(groupArray((occurred_at, event_id, side, rating, as_of, health, risk))) AS feedback
        FROM told
        ASOF LEFT JOIN scores
        ON told.tenant_id = scores.tenant_id AND told.program_id = scores.program_id
            AND told.relationship_id = scores.relationship_id AND told.occurred_at > scores.as_of
        GROUP BY tenant_id, program_id, relationship_id
    )
SELECT
    tenant_id, program_id, relationship_id, feedback.1, feedback.2, feedback.3, feedback.4, feedback.5, feedback.6,
    feedback.7, %(version)s AS version, empty(feedback) AS is_deleted
FROM touched
LEFT JOIN found USING (tenant_id, program_id, relationship_id)
SETTINGS do_not_merge_across_partitions_select_final = 1, join_use_nulls = 0
