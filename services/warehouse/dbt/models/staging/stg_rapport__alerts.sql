-- One row per episode of an alert that was not withdrawn, with what happened after it.
SELECT
    alert.* EXCEPT (withdrawn, changed_at), outcome.came_true AS came_true, outcome.ended_early AS ended_early,
    outcome.next_contact AS next_contact, greatest(alert.changed_at, ifNull(outcome.changed_at, alert.changed_at)) AS changed_at
FROM {{ source('rapport', 'alerts') }} AS alert
LEFT JOIN
(
    SELECT tenant_id, program_id, dedup_key, came_true, ended_early, next_contact, changed_at
    FROM {{ source('rapport', 'alert_outcomes') }}
) AS outcome USING (tenant_id, program_id, dedup_key)
WHERE NOT alert.withdrawn
SETTINGS join_use_nulls = 1
