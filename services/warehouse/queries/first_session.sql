-- How many days pass from match to first session, by cohort?
SELECT
    tenant_id, program_id, cohort, count() AS pairs, countIf(first_session_at IS NOT NULL) AS met,
    round(quantileExactInclusive(0.5)(days_to_first_session), 1) AS median_days,
    round(quantileExactInclusive(0.9)(days_to_first_session), 1) AS p90_days
FROM mentoring_mart.relationships
WHERE declared AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
GROUP BY tenant_id, program_id, cohort
ORDER BY tenant_id, program_id, cohort
