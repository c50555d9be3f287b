-- The months of the relationship days that this recomputation has just written, recounted from all their days.
INSERT INTO mentoring.relationship_monthly
(
    tenant_id, program_id, month, relationship_id, scored, standing, health_sum, at_risk, sessions, messages,
    first_contact, last_day, cases, case_risks, next_contacts, version, is_deleted
)
WITH
    touched AS
    (
        SELECT DISTINCT tenant_id, program_id, toStartOfMonth(day) AS month, relationship_id
        FROM mentoring.relationship_daily
        WHERE toYYYYMM(day) IN %(months)s AND version = %(version)s
    ),
    counted AS
    (
        SELECT
            tenant_id, program_id, toStartOfMonth(day) AS month, relationship_id, count() AS days,
            countIf(scores > 0) AS scored, countIf(scores > 0 AND d.status != 'ended') AS standing,
            sumIf(toInt64(d.health), scores > 0) AS health_sum, countIf(scores > 0 AND d.risk >= 700000) AS at_risk,
            sum(d.sessions) AS sessions, sum(d.messages) AS messages, max(day) AS last_day,
            arraySort(groupArrayIf(day, d.sessions + d.messages > 0)) AS contacts,
            arraySort(groupArrayIf((day, d.risk),
                scores > 0 AND d.status = 'active' AND modulo(toRelativeDayNum(day), 14) = 0)) AS told
        FROM mentoring.relationship_daily AS d FINAL
        WHERE toYYYYMM(day) IN %(months)s
            AND (tenant_id, program_id, toStartOfMonth(day), relationship_id) IN
                (SELECT tenant_id, program_id, month, relationship_id FROM touched)
        GROUP BY tenant_id, program_id, month, relationship_id
    )
SELECT
    tenant_id, program_id, month, relationship_id, scored, standing, health_sum, at_risk, sessions, messages,
    contacts[1] AS first_contact, last_day, told.1, told.2,
    arrayMap(one -> arrayFirst(contact -> contact > one.1, contacts), told), %(version)s AS version, days = 0 AS is_deleted
FROM touched
LEFT JOIN counted USING (tenant_id, program_id, month, relationship_id)
SETTINGS do_not_merge_across_partitions_select_final = 1, join_use_nulls = 0
