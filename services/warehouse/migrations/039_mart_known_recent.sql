-- The newest score of every relationship at a moment, as known then and as known now, without reading all of history.
-- Open relationships are scored at least daily, so the newest score is usually found within three days before the moment.
-- Two kinds of relationships are read completely: those without a score in these days, and those of which something in
-- these days was deleted, or recorded later than the moment. Of all others every version of these days was known, so
-- what was known then is the newest version of the newest instant.
-- The list of relationships comes from recorded_monthly and relationship_state: every scored relationship has events.
CREATE OR REPLACE VIEW mentoring_at.relationships_known_of {on_cluster}
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS WITH
    -- A version is known unless an event that it includes was recorded later: of these events the first on the log, with
    -- the greatest version (2^63 - position), is enough. Without such an event nothing is left out,
    -- whether the join gives 0 or NULL (`join_use_nulls` of whoever asks).
    first_unknown AS
    (
        SELECT tenant_id, program_id, relationship_id, max(later.version) AS version
        FROM
        (
            SELECT tenant_id, program_id, relationship_id, version
            FROM mentoring.recorded_monthly
            WHERE month > toStartOfMonth({known_at:DateTime64(6, 'UTC')})
                AND ({tenant:String} = '' OR tenant_id = {tenant:String})
                AND ({program:String} = '' OR program_id = {program:String})

            UNION ALL

            SELECT tenant_id, program_id, relationship_id, version
            FROM mentoring.events
            WHERE recorded_at > {known_at:DateTime64(6, 'UTC')}
                AND recorded_at < addMonths(toStartOfMonth({known_at:DateTime64(6, 'UTC')}), 1)
                AND ({tenant:String} = '' OR tenant_id = {tenant:String})
                AND ({program:String} = '' OR program_id = {program:String})
        ) AS later
        GROUP BY tenant_id, program_id, relationship_id
    ),
    -- `place` orders versions: by instant, version, rank and time of emission. Comparing one number takes half the time
    -- of comparing a tuple.
    versions AS
    (
        SELECT
            tenant_id, program_id, relationship_id, as_of, version, position, emitted_at, toString(mode) AS mode,
            is_deleted, health, toString(band) AS band, risk, confidence, toString(status) AS status, profile, inserted_at,
            bitShiftLeft(toUInt256(toUnixTimestamp64Micro(as_of)), 128) + bitShiftLeft(toUInt256(version), 64)
                + bitShiftLeft(toUInt64(1), 63) + toUInt64(toUnixTimestamp64Micro(emitted_at)) AS place
        FROM mentoring.score_revisions
        WHERE as_of <= {known_at:DateTime64(6, 'UTC')} AND ({tenant:String} = '' OR tenant_id = {tenant:String})
            AND ({program:String} = '' OR program_id = {program:String})

        UNION ALL

        SELECT
            tenant_id, program_id, relationship_id, as_of, version, position, toDateTime64(0, 6, 'UTC') AS emitted_at,
            toString(mode) AS mode, is_deleted, health, toString(band) AS band, risk, confidence,
            toString(status) AS status, profile, inserted_at,
            bitShiftLeft(toUInt256(toUnixTimestamp64Micro(as_of)), 128) + bitShiftLeft(toUInt256(version), 64) AS place
        FROM mentoring.score_history
        WHERE as_of <= {known_at:DateTime64(6, 'UTC')} AND ({tenant:String} = '' OR tenant_id = {tenant:String})
            AND ({program:String} = '' OR program_id = {program:String})
    ),
    -- Those of which every version of the last three days was known and stands.
    simple AS
    (
        SELECT tenant_id, program_id, relationship_id
        FROM
        (
            SELECT
                tenant_id, program_id, relationship_id, max(v.position) AS last_position, max(v.is_deleted) AS gone
            FROM versions AS v
            WHERE v.as_of > {known_at:DateTime64(6, 'UTC')} - toIntervalDay(3)
            GROUP BY tenant_id, program_id, relationship_id
        ) AS r
        LEFT JOIN first_unknown AS u USING (tenant_id, program_id, relationship_id)
        WHERE r.gone = 0 AND r.last_position + ifNull(u.version, 0) < 9223372036854775808
    )
SELECT
    tenant_id, program_id, relationship_id, newest.as_of AS as_of, newest.version AS version,
    nullIf(newest.emitted_at, toDateTime64(0, 6, 'UTC')) AS emitted_at, newest.mode AS mode,
    newest.health / 1e6 AS health, newest.band AS band,
    multiIf(newest.confidence < 250000, 'too early to tell', newest.band IN ('thriving', 'steady') AND newest.risk < 700000, 'on track', 'needs attention') AS coordinator_band,
    newest.risk / 1e6 AS risk, newest.confidence / 1e6 AS confidence, newest.status AS status,
    toString(newest.profile) AS profile, newest.inserted_at AS changed_at
FROM
(
    SELECT r.* EXCEPT (last_position, gone)
    FROM
    (
        SELECT
            tenant_id, program_id, relationship_id, max(v.as_of) AS as_of, argMax(v.version, v.place) AS version,
            argMax(v.emitted_at, v.place) AS emitted_at, argMax(v.mode, v.place) AS mode, argMax(v.health, v.place) AS health,
            argMax(v.band, v.place) AS band, argMax(v.risk, v.place) AS risk, argMax(v.confidence, v.place) AS confidence,
            argMax(v.status, v.place) AS status, argMax(v.profile, v.place) AS profile,
            argMax(v.inserted_at, v.place) AS inserted_at,
            max(v.position) AS last_position, max(v.is_deleted) AS gone
        FROM versions AS v
        WHERE v.as_of > {known_at:DateTime64(6, 'UTC')} - toIntervalDay(3)
        GROUP BY tenant_id, program_id, relationship_id
    ) AS r
    LEFT JOIN first_unknown AS u USING (tenant_id, program_id, relationship_id)
    WHERE r.gone = 0 AND r.last_position + ifNull(u.version, 0) < 9223372036854775808

    UNION ALL

    SELECT
        tenant_id, program_id, relationship_id, max(i.as_of) AS as_of, argMax(i.version, i.as_of) AS version,
        argMax(i.emitted_at, i.as_of) AS emitted_at, argMax(i.mode, i.as_of) AS mode, argMax(i.health, i.as_of) AS health,
        argMax(i.band, i.as_of) AS band, argMax(i.risk, i.as_of) AS risk, argMax(i.confidence, i.as_of) AS confidence,
        argMax(i.status, i.as_of) AS status, argMax(i.profile, i.as_of) AS profile,
        argMax(i.inserted_at, i.as_of) AS inserted_at
    FROM
    (
        SELECT
            tenant_id, program_id, relationship_id, v.as_of AS as_of, argMax(v.is_deleted, v.place) AS gone,
            argMax(v.version, v.place) AS version, argMax(v.emitted_at, v.place) AS emitted_at,
            argMax(v.mode, v.place) AS mode, argMax(v.health, v.place) AS health, argMax(v.band, v.place) AS band,
            argMax(v.risk, v.place) AS risk, argMax(v.confidence, v.place) AS confidence,
            argMax(v.status, v.place) AS status, argMax(v.profile, v.place) AS profile,
            argMax(v.inserted_at, v.place) AS inserted_at
        FROM versions AS v
        LEFT JOIN first_unknown AS u USING (tenant_id, program_id, relationship_id)
        WHERE v.position + ifNull(u.version, 0) < 9223372036854775808 AND (tenant_id, program_id, relationship_id) IN
            (
                SELECT tenant_id, program_id, relationship_id
                FROM
                (
                    SELECT tenant_id, program_id, relationship_id FROM mentoring.recorded_monthly
                    UNION ALL
                    SELECT tenant_id, program_id, relationship_id FROM mentoring.relationship_state
                )
                WHERE ({tenant:String} = '' OR tenant_id = {tenant:String})
                    AND ({program:String} = '' OR program_id = {program:String})
                    AND (tenant_id, program_id, relationship_id) NOT IN (SELECT * FROM simple)
            )
        GROUP BY tenant_id, program_id, relationship_id, as_of
        HAVING gone = 0
    ) AS i
    GROUP BY tenant_id, program_id, relationship_id
) AS newest
COMMENT 'One row per relationship of tenant and program (all if they are empty): the newest score that was known at known_at';

CREATE OR REPLACE VIEW mentoring_at.relationships_scored_of {on_cluster}
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS WITH
    scores AS
    (
        SELECT tenant_id, program_id, relationship_id, as_of, health, band, risk, inserted_at
        FROM mentoring.score_history FINAL
        WHERE as_of <= {at:DateTime64(6, 'UTC')} AND ({tenant:String} = '' OR tenant_id = {tenant:String})
            AND ({program:String} = '' OR program_id = {program:String})
    ),
    read_completely AS
    (
        SELECT tenant_id, program_id, relationship_id
        FROM
        (
            SELECT tenant_id, program_id, relationship_id FROM mentoring.recorded_monthly
            UNION ALL
            SELECT tenant_id, program_id, relationship_id FROM mentoring.relationship_state
        )
        WHERE ({tenant:String} = '' OR tenant_id = {tenant:String})
            AND ({program:String} = '' OR program_id = {program:String})
            AND (tenant_id, program_id, relationship_id) NOT IN
            (
                SELECT tenant_id, program_id, relationship_id
                FROM scores
                WHERE as_of > {at:DateTime64(6, 'UTC')} - toIntervalDay(3)
            )
    )
SELECT
    tenant_id, program_id, relationship_id, max(s.as_of) AS as_of, argMax(s.health, s.as_of) / 1e6 AS health,
    toString(argMax(s.band, s.as_of)) AS band, argMax(s.risk, s.as_of) / 1e6 AS risk, max(s.inserted_at) AS changed_at
FROM
(
    SELECT * FROM scores WHERE as_of > {at:DateTime64(6, 'UTC')} - toIntervalDay(3)

    UNION ALL

    SELECT *
    FROM scores
    WHERE as_of <= {at:DateTime64(6, 'UTC')} - toIntervalDay(3)
        AND (tenant_id, program_id, relationship_id) IN (SELECT * FROM read_completely)
) AS s
GROUP BY tenant_id, program_id, relationship_id
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per relationship of tenant and program (all if they are empty): its newest score at a moment (at), as it is known now';
