-- Which open pairs have been silent for 14 days or more?
-- Parameter days = 14: the minimum number of days
SELECT
    tenant_id, program_id, relationship_id, last_contact, round(silent_days, 1) AS silent_days, cadence_days,
    next_session, band, round(risk, 2) AS risk
FROM mentoring_mart.relationship_current
WHERE status = 'active' AND (silent_days >= {days:UInt32} OR last_contact IS NULL) AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
ORDER BY last_contact IS NULL DESC, mentoring_mart.relationship_current.silent_days DESC, relationship_id
