-- Recounts the touched programme days. 700000 millionths is the level of the rule "disengaging".
INSERT INTO mentoring.program_daily
(
    tenant_id, program_id, day, relationships, active, ended, sessions,
    health_p05, health_p25, health_p50, health_p75, health_p95,
    thriving, steady, strained, critical, at_risk, alerts, version
)
WITH
    touched AS
    (
        SELECT key.1 AS tenant_id, key.2 AS program_id, toDate(key.3) AS day FROM (SELECT arrayJoin(%(days)s) AS key)
    ),
    last_of_day AS
    (
        SELECT
            tenant_id, program_id, relationship_id, toDate(as_of) AS day,
            argMax(history.health, history.as_of) AS health,
            argMax(history.risk, history.as_of) AS risk,
            argMax(history.band, history.as_of) AS band,
            argMax(history.status, history.as_of) AS status
        FROM mentoring.score_history AS history FINAL
        WHERE toYYYYMM(as_of) IN %(months)s
            AND (tenant_id, program_id, toDate(as_of)) IN (SELECT tenant_id, program_id, day FROM touched)
        GROUP BY tenant_id, program_id, relationship_id, day
    ),
    scored AS
    (
        SELECT
            tenant_id, program_id, day,
            countIf(status != 'ended') AS relationships,
            countIf(status = 'active') AS active,
            countIf(status = 'ended') AS ended,
            arrayMap(
                quantile -> toInt32(round(ifNotFinite(quantile, 0))),
                quantilesExactInclusiveIf(0.05, 0.25, 0.5, 0.75, 0.95)(health, status != 'ended')
            ) AS quantiles,
            countIf(band = 'thriving' AND status != 'ended') AS thriving,
            countIf(band = 'steady' AND status != 'ended') AS steady,
            countIf(band = 'strained' AND status != 'ended') AS strained,
            countIf(band = 'critical' AND status != 'ended') AS critical,
            countIf(risk >= 700000 AND status != 'ended') AS at_risk
        FROM last_of_day
        GROUP BY tenant_id, program_id, day
    ),
    held AS
    (
        SELECT tenant_id, program_id, toDate(occurred_at) AS day, count() AS sessions
        FROM mentoring.standing_events
        WHERE toYYYYMM(occurred_at) IN %(months)s AND type = 'mentoring.session.held.v1'
            AND (tenant_id, program_id, toDate(occurred_at)) IN (SELECT tenant_id, program_id, day FROM touched)
        GROUP BY tenant_id, program_id, day
    ),
    fired AS
    (
        SELECT tenant_id, program_id, toDate(at) AS day, count() AS alerts
        FROM mentoring.alert_log FINAL
        -- An episode that was withdrawn by corrections is not counted.
        WHERE toYYYYMM(at) IN %(months)s AND transition = 'fired'
            AND (tenant_id, dedup_key) NOT IN
                (SELECT tenant_id, dedup_key FROM mentoring.alert_log WHERE transition = 'resolved' AND startsWith(why, 'corrected'))
            AND (tenant_id, program_id, toDate(at)) IN (SELECT tenant_id, program_id, day FROM touched)
        GROUP BY tenant_id, program_id, day
    )
SELECT
    tenant_id, program_id, day, relationships, active, ended, sessions,
    quantiles[1], quantiles[2], quantiles[3], quantiles[4], quantiles[5],
    thriving, steady, strained, critical, at_risk, alerts, %(version)s AS version
FROM touched
LEFT JOIN scored USING (tenant_id, program_id, day)
LEFT JOIN held USING (tenant_id, program_id, day)
LEFT JOIN fired USING (tenant_id, program_id, day)
SETTINGS do_not_merge_across_partitions_select_final = 1, join_use_nulls = 0
