-- Which score did each pair have at a moment, as known then and as known now? Of every version of every score.
SELECT
    tenant_id, program_id, relationship_id, round(knew.health, 1) AS health_then, knew.band AS band_then,
    round(known.health, 1) AS health_now_known, known.band AS band_now_known,
    round(known.health - knew.health, 1) AS difference
FROM
(
    SELECT tenant_id, program_id, relationship_id, argMax(s.health, s.as_of) AS health, argMax(s.band, s.as_of) AS band
    FROM mentoring_at.scores_known(known_at = {at:DateTime64(6, 'UTC')}) AS s
    WHERE ({tenant:String} = '' OR tenant_id = {tenant:String}) AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, relationship_id
) AS knew
FULL JOIN
(
    SELECT tenant_id, program_id, relationship_id, argMax(n.health, n.as_of) AS health, argMax(n.band, n.as_of) AS band
    FROM mentoring_mart.scores AS n
    WHERE n.as_of <= {at:DateTime64(6, 'UTC')} AND ({tenant:String} = '' OR tenant_id = {tenant:String})
        AND ({program:String} = '' OR program_id = {program:String})
    GROUP BY tenant_id, program_id, relationship_id
) AS known USING (tenant_id, program_id, relationship_id)
ORDER BY abs(difference) DESC NULLS FIRST, relationship_id
SETTINGS join_use_nulls = 1
