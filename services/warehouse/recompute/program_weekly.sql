-- Recounts the weeks of the touched programme days from the relationship days, which are computed before.
INSERT INTO mentoring.program_weekly
(
    tenant_id, program_id, week, relationships, active_relationships, sessions, messages, health_sum, health_p50, at_risk,
    on_track, needs_attention, too_early, ended, version, is_deleted
)
WITH
    touched AS
    (
        SELECT DISTINCT key.1 AS tenant_id, key.2 AS program_id, toMonday(toDate(key.3)) AS week
        FROM (SELECT arrayJoin(%(days)s) AS key)
    ),
    last_of_week AS
    (
        SELECT
            tenant_id, program_id, toMonday(day) AS week, relationship_id, countIf(scores > 0) > 0 AS scored,
            argMaxIf(CAST((d.health, d.risk, d.confidence, toString(d.band), toString(d.status)),
                'Tuple(health Int32, risk Int32, confidence Int32, band String, status String)'), day, scores > 0) AS state,
            multiIf(state.confidence < 250000, 'too early to tell',
                state.band IN ('thriving', 'steady') AND state.risk < 700000, 'on track', 'needs attention') AS mark,
            sum(d.sessions) AS held, sum(d.messages) AS sent
        FROM mentoring.relationship_daily AS d FINAL
        -- A week may lie in two months.
        WHERE day BETWEEN (SELECT min(week) FROM touched) AND (SELECT max(week) + 6 FROM touched)
            AND (tenant_id, program_id, toMonday(day)) IN (SELECT tenant_id, program_id, week FROM touched)
        GROUP BY tenant_id, program_id, week, relationship_id
    ),
    counted AS
    (
        SELECT
            tenant_id, program_id, week, count() AS pairs, countIf(scored AND state.status != 'ended') AS relationships,
            countIf(held + sent > 0) AS active_relationships, sum(held) AS sessions, sum(sent) AS messages,
            sumIf(toInt64(state.health), scored AND state.status != 'ended') AS health_sum,
            ifNotFinite(quantileExactInclusiveIf(0.5)(state.health, scored AND state.status != 'ended'), 0) AS health_p50,
            countIf(scored AND state.status != 'ended' AND state.risk >= 700000) AS at_risk,
            countIf(scored AND state.status != 'ended' AND mark = 'on track') AS on_track,
            countIf(scored AND state.status != 'ended' AND mark = 'needs attention') AS needs_attention,
            countIf(scored AND state.status != 'ended' AND mark = 'too early to tell') AS too_early,
            countIf(scored AND state.status = 'ended') AS ended
        FROM last_of_week
        GROUP BY tenant_id, program_id, week
    )
SELECT
    tenant_id, program_id, week, relationships, active_relationships, sessions, messages, health_sum, health_p50, at_risk,
    on_track, needs_attention, too_early, ended, %(version)s AS version, pairs = 0 AS is_deleted
FROM touched
LEFT JOIN counted USING (tenant_id, program_id, week)
SETTINGS do_not_merge_across_partitions_select_final = 1, join_use_nulls = 0
