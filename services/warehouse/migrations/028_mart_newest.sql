-- The newest score of every relationship at a moment, as it was known then and as it is known now, of one organisation or
-- programme, or of all ('' for both): named as parameters, they bound what each step reads, where a condition outside
-- would bound the last one only.
-- A version was known unless an event that it knows of was recorded later, so that of each relationship the first such
-- event on the log is enough. Which instants come into question is found first, of narrow columns and in one pass: the
-- newest one that no version ever took away, and those after it. What was said is read of these only.
CREATE OR REPLACE VIEW mentoring_at.relationships_known_of {on_cluster}
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, relationship_id, known.as_of AS as_of, known.version AS version,
    nullIf(known.emitted_at, toDateTime64(0, 6, 'UTC')) AS emitted_at, known.mode AS mode, known.health / 1e6 AS health,
    known.band AS band, multiIf(known.confidence < 250000, 'too early to tell', known.band IN ('thriving', 'steady') AND known.risk < 700000, 'on track', 'needs attention') AS coordinator_band,
    known.risk / 1e6 AS risk, known.confidence / 1e6 AS confidence, known.status AS status, known.profile AS profile,
    known.inserted_at AS changed_at
FROM
(
    SELECT tenant_id, program_id, relationship_id, argMax(said, as_of) AS known
    FROM
    (
        SELECT tenant_id, program_id, relationship_id, as_of, argMax(said, (version, rank, said.emitted_at)) AS said
        FROM
        (
            SELECT
                tenant_id, program_id, relationship_id, as_of, position, version, 1 AS rank,
                CAST((as_of, version, emitted_at, toString(mode), is_deleted, health, toString(band), risk, confidence,
                    toString(status), toString(profile), inserted_at), 'Tuple(as_of DateTime64(6, \'UTC\'),
                    version UInt64, emitted_at DateTime64(6, \'UTC\'), mode String, is_deleted UInt8, health Int32,
                    band String, risk Int32, confidence Int32, status String, profile String,
                    inserted_at DateTime64(6, \'UTC\'))') AS said
            FROM mentoring.score_revisions

            UNION ALL

            SELECT
                tenant_id, program_id, relationship_id, as_of, position, version, 0 AS rank,
                CAST((as_of, version, toDateTime64(0, 6, 'UTC'), toString(mode), is_deleted, health, toString(band), risk,
                    confidence, toString(status), toString(profile), inserted_at), 'Tuple(as_of DateTime64(6, \'UTC\'),
                    version UInt64, emitted_at DateTime64(6, \'UTC\'), mode String, is_deleted UInt8, health Int32,
                    band String, risk Int32, confidence Int32, status String, profile String,
                    inserted_at DateTime64(6, \'UTC\'))') AS said
            FROM mentoring.score_history
        ) AS version_of
        WHERE (tenant_id, program_id, relationship_id, as_of, position) IN
        (
            SELECT tenant_id, program_id, relationship_id, place.1, place.2
            FROM
            (
                SELECT
                    tenant_id, program_id, relationship_id, minOrNullIf(position, recorded_later) AS first_unknown,
                    groupUniqArrayIf(as_of, gone) AS ever_gone,
                    arrayFilter(place -> isNull(first_unknown) OR place.2 < first_unknown,
                        groupArrayIf((as_of, position), NOT recorded_later)) AS known_places,
                    arrayMax(place -> if(has(ever_gone, place.1), toDateTime64(0, 6, 'UTC'), place.1), known_places)
                        AS standing
                FROM
                (
                    SELECT
                        tenant_id, program_id, relationship_id, as_of, position, is_deleted = 1 AS gone,
                        false AS recorded_later
                    FROM mentoring.score_revisions
                    WHERE as_of <= {known_at:DateTime64(6, 'UTC')}
                        AND ({tenant:String} = '' OR tenant_id = {tenant:String})
                        AND ({program:String} = '' OR program_id = {program:String})

                    UNION ALL

                    SELECT
                        tenant_id, program_id, relationship_id, as_of, position, is_deleted = 1 AS gone,
                        false AS recorded_later
                    FROM mentoring.score_history
                    WHERE as_of <= {known_at:DateTime64(6, 'UTC')}
                        AND ({tenant:String} = '' OR tenant_id = {tenant:String})
                        AND ({program:String} = '' OR program_id = {program:String})

                    UNION ALL

                    SELECT
                        tenant_id, program_id, relationship_id, recorded_at AS as_of, position, false AS gone,
                        true AS recorded_later
                    FROM mentoring.events
                    WHERE recorded_at > {known_at:DateTime64(6, 'UTC')}
                        AND ({tenant:String} = '' OR tenant_id = {tenant:String})
                        AND ({program:String} = '' OR program_id = {program:String})
                )
                GROUP BY tenant_id, program_id, relationship_id
            )
            ARRAY JOIN arrayFilter(place -> place.1 >= standing, known_places) AS place
        )
        GROUP BY tenant_id, program_id, relationship_id, as_of
    )
    WHERE said.is_deleted = 0
    GROUP BY tenant_id, program_id, relationship_id
) AS newest
COMMENT 'One row per relationship of tenant and program (all where they are empty): the newest score that was known at known_at';

CREATE OR REPLACE VIEW mentoring_at.relationships_known {on_cluster}
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT *
FROM mentoring_at.relationships_known_of(known_at = {known_at:DateTime64(6, 'UTC')}, tenant = '', program = '') AS known
COMMENT 'One row per relationship: the newest score that was known at known_at';

-- Without the zone of a programme, for which mentoring_mart.scores looks at every row.
CREATE OR REPLACE VIEW mentoring_at.relationships_scored_of {on_cluster}
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, relationship_id, max(s.as_of) AS as_of, argMax(s.health, s.as_of) / 1e6 AS health,
    toString(argMax(s.band, s.as_of)) AS band, argMax(s.risk, s.as_of) / 1e6 AS risk, max(s.inserted_at) AS changed_at
FROM mentoring.score_history AS s FINAL
WHERE s.as_of <= {at:DateTime64(6, 'UTC')} AND ({tenant:String} = '' OR tenant_id = {tenant:String})
    AND ({program:String} = '' OR program_id = {program:String})
GROUP BY tenant_id, program_id, relationship_id
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per relationship of tenant and program (all where they are empty): its newest score at a moment (at), as it is known now';
