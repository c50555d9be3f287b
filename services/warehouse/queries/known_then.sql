-- What did we know of each pair at a moment, and what is now known about that moment?
-- Parameter at: the moment, for example 2024-03-31 12:00:00
SELECT
    tenant_id, program_id, relationship_id, round(knew.health, 1) AS health_then, knew.band AS band_then,
    round(known.health, 1) AS health_now_known, known.band AS band_now_known,
    round(known.health - knew.health, 1) AS difference
FROM
(
    SELECT tenant_id, program_id, relationship_id, health, band
    FROM mentoring_at.relationships_known(known_at = {at:DateTime64(6, 'UTC')})
    WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
) AS knew
FULL JOIN
(
    SELECT tenant_id, program_id, relationship_id, argMax(health, as_of) AS health, argMax(band, as_of) AS band
    FROM mentoring_mart.scores
    WHERE as_of <= {at:DateTime64(6, 'UTC')} AND ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, relationship_id
) AS known USING (tenant_id, program_id, relationship_id)
ORDER BY abs(difference) DESC NULLS FIRST, relationship_id
SETTINGS join_use_nulls = 1
