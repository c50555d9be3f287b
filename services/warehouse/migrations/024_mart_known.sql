-- What was known of every relationship at a moment, without sorting all of history: a version was known unless an event
-- that it knows of was recorded later, so that of each relationship the first such event on the log is enough.
CREATE OR REPLACE VIEW mentoring_at.relationships_known {on_cluster}
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
                tenant_id, program_id, relationship_id, as_of, version, position, 1 AS rank,
                CAST((as_of, version, emitted_at, toString(mode), is_deleted, health, toString(band), risk, confidence,
                    toString(status), toString(profile), inserted_at), 'Tuple(as_of DateTime64(6, \'UTC\'),
                    version UInt64, emitted_at DateTime64(6, \'UTC\'), mode String, is_deleted UInt8, health Int32,
                    band String, risk Int32, confidence Int32, status String, profile String,
                    inserted_at DateTime64(6, \'UTC\'))') AS said
            FROM mentoring.score_revisions
            WHERE as_of <= {known_at:DateTime64(6, 'UTC')}

            UNION ALL

            SELECT
                tenant_id, program_id, relationship_id, as_of, version, position, 0 AS rank,
                CAST((as_of, version, toDateTime64(0, 6, 'UTC'), toString(mode), is_deleted, health, toString(band), risk,
                    confidence, toString(status), toString(profile), inserted_at), 'Tuple(as_of DateTime64(6, \'UTC\'),
                    version UInt64, emitted_at DateTime64(6, \'UTC\'), mode String, is_deleted UInt8, health Int32,
                    band String, risk Int32, confidence Int32, status String, profile String,
                    inserted_at DateTime64(6, \'UTC\'))') AS said
            FROM mentoring.score_history
            WHERE as_of <= {known_at:DateTime64(6, 'UTC')}
        ) AS version_of
        LEFT JOIN
        (
            SELECT tenant_id, program_id, relationship_id, minOrNull(position) AS first_unknown
            FROM mentoring.events
            WHERE recorded_at > {known_at:DateTime64(6, 'UTC')}
            GROUP BY tenant_id, program_id, relationship_id
        ) AS later USING (tenant_id, program_id, relationship_id)
        WHERE isNull(first_unknown) OR position < first_unknown
        GROUP BY tenant_id, program_id, relationship_id, as_of
    )
    WHERE said.is_deleted = 0
    GROUP BY tenant_id, program_id, relationship_id
) AS newest
SETTINGS join_use_nulls = 0
COMMENT 'One row per relationship: the newest score that was known at known_at';
