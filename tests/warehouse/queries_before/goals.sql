-- How complete are goals (SMART), and how many are revised, celebrated and achieved?
SELECT
    tenant_id, program_id, countIf(type = 'mentoring.goal.set.v1') AS goals,
    round(avgOrNullIf(
        JSONExtractBool(payload, 'smart', 'specific') + JSONExtractBool(payload, 'smart', 'measurable')
            + JSONExtractBool(payload, 'smart', 'achievable') + JSONExtractBool(payload, 'smart', 'relevant')
            + JSONExtractBool(payload, 'smart', 'time_bound'),
        type = 'mentoring.goal.set.v1' AND JSONHas(payload, 'smart')
    ) / 5, 2) AS smart_share,
    countIf(type = 'mentoring.goal.revised.v1') AS revised, countIf(type = 'mentoring.milestone.celebrated.v1') AS celebrated,
    countIf(type = 'mentoring.goal.achieved.v1') AS achieved, countIf(type = 'mentoring.goal.missed.v1') AS missed,
    countIf(type = 'mentoring.goal.abandoned.v1') AS abandoned
FROM mentoring_mart.events_by_type
WHERE type IN ('mentoring.goal.set.v1', 'mentoring.goal.revised.v1', 'mentoring.goal.achieved.v1', 'mentoring.goal.missed.v1',
        'mentoring.goal.abandoned.v1', 'mentoring.milestone.celebrated.v1')
    AND NOT retracted AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
GROUP BY tenant_id, program_id
ORDER BY tenant_id, program_id
