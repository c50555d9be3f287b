-- One row per person (pseudonymous key) and side, over all relationships of a programme.
SELECT
    tenant_id, program_id, person, side, count() AS relationships, countIf(now.status = 'active') AS active,
    avgIf(now.health, now.status = 'active') AS mean_health, countIf(now.status = 'active' AND now.risk >= 0.7) AS at_risk
FROM {{ source('rapport', 'relationship_people') }}
LEFT JOIN {{ source('rapport', 'relationship_current') }} AS now USING (tenant_id, program_id, relationship_id)
GROUP BY tenant_id, program_id, person, side
