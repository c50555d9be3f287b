-- Every programme day with anything that counts now or counted before, in time order, so that neighbours lie in the
-- same partitions.
SELECT DISTINCT tenant_id, program_id, day
FROM
(
    SELECT DISTINCT tenant_id, program_id, toDate(as_of) AS day FROM mentoring.score_history

    UNION ALL

    SELECT DISTINCT tenant_id, program_id, toDate(occurred_at) AS day
    FROM mentoring.events
    WHERE type != 'mentoring.relationship.erased.v1'

    UNION ALL

    SELECT DISTINCT tenant_id, program_id, toDate(at) AS day FROM mentoring.alert_log WHERE transition = 'fired'

    UNION ALL

    SELECT tenant_id, program_id, day FROM mentoring.program_daily

    UNION ALL

    SELECT DISTINCT tenant_id, program_id, day FROM mentoring.activity_daily

    UNION ALL

    SELECT DISTINCT tenant_id, program_id, day FROM mentoring.relationship_daily
)
ORDER BY day, tenant_id, program_id
