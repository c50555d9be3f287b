-- What share of pairs has feedback from both sides?
SELECT
    tenant_id, program_id, count() AS pairs, countIf(given.mentor) AS from_mentor, countIf(given.mentee) AS from_mentee,
    countIf(given.mentor AND given.mentee) AS two_way, round(two_way / pairs, 3) AS share
FROM mentoring_mart.relationships
LEFT JOIN
(
    SELECT
        tenant_id, program_id, relationship_id, countIf(actor = 'mentor') > 0 AS mentor,
        countIf(actor = 'mentee') > 0 AS mentee
    FROM mentoring_mart.events_by_type
    WHERE type = 'mentoring.feedback.given.v1'
        AND NOT retracted AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, relationship_id
) AS given USING (tenant_id, program_id, relationship_id)
WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
GROUP BY tenant_id, program_id
ORDER BY tenant_id, program_id
SETTINGS join_use_nulls = 0
