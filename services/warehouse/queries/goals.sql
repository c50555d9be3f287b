-- How complete are goals (SMART), and how many are revised, celebrated and achieved?
SELECT
    tenant_id, program_id, sum(goals_set) AS goals, round(sum(smart_criteria) / nullIf(sum(smart_goals), 0) / 5, 2) AS smart_share,
    sum(goals_revised) AS revised, sum(milestones_celebrated) AS celebrated, sum(goals_achieved) AS achieved,
    sum(goals_missed) AS missed, sum(goals_abandoned) AS abandoned
FROM mentoring_mart.relationships
WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
GROUP BY tenant_id, program_id
HAVING goals + revised + celebrated + achieved + missed + abandoned > 0
ORDER BY tenant_id, program_id
