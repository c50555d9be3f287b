-- Which score did each pair have at a moment, as known then and as known now?
-- Parameter at: the moment, for example 2024-03-31 12:00:00
SELECT
    tenant_id, program_id, relationship_id, round(knew.health, 1) AS health_then, knew.band AS band_then,
    round(known.health, 1) AS health_now_known, known.band AS band_now_known,
    round(known.health - knew.health, 1) AS difference
FROM
(
    SELECT tenant_id, program_id, relationship_id, health, band
    FROM mentoring_at.relationships_known_of(known_at = {at:DateTime64(6, 'UTC')}, tenant = {tenant:String}, program = {program:String})
) AS knew
FULL JOIN
(
    SELECT tenant_id, program_id, relationship_id, health, band
    FROM mentoring_at.relationships_scored_of(at = {at:DateTime64(6, 'UTC')}, tenant = {tenant:String}, program = {program:String})
) AS known USING (tenant_id, program_id, relationship_id)
ORDER BY abs(difference) DESC NULLS FIRST, relationship_id
SETTINGS join_use_nulls = 1
