-- What is known of programmes: by day, by week, by what happened, by feed.
CREATE OR REPLACE VIEW mentoring_mart.program_day {on_cluster}
(
    tenant_id     LowCardinality(String) COMMENT 'The organisation',
    program_id    LowCardinality(String) COMMENT 'The mentoring programme',
    day           Date COMMENT 'UTC day',
    relationships UInt32 COMMENT 'Relationships with a score that day, ended ones aside; figures are of the last score of the day',
    active        UInt32 COMMENT 'Of these, active',
    ended         UInt32 COMMENT 'Relationships that ended that day',
    sessions      Nullable(UInt32) COMMENT 'Sessions held; NULL on days after the last event of the programme, of which nothing is known',
    health_p05    Nullable(Float64) COMMENT 'Health, 5th percentile',
    health_p25    Nullable(Float64) COMMENT 'Health, 25th percentile',
    health_median Nullable(Float64) COMMENT 'Health, median',
    health_p75    Nullable(Float64) COMMENT 'Health, 75th percentile',
    health_p95    Nullable(Float64) COMMENT 'Health, 95th percentile',
    thriving      Nullable(Float64) COMMENT 'Share of relationships in band thriving, 0 to 1',
    steady        Nullable(Float64) COMMENT 'Share of relationships in band steady, 0 to 1',
    strained      Nullable(Float64) COMMENT 'Share of relationships in band strained, 0 to 1',
    critical      Nullable(Float64) COMMENT 'Share of relationships in band critical, 0 to 1',
    at_risk       UInt32 COMMENT 'Relationships with a risk of 0.70 or more',
    alerts        UInt32 COMMENT 'Alerts fired',
    changed_at    DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, day, relationships, active, ended,
    if(day > known.last_day, NULL, d.sessions) AS sessions,
    if(relationships = 0, NULL, d.health_p05 / 1e6) AS health_p05,
    if(relationships = 0, NULL, d.health_p25 / 1e6) AS health_p25,
    if(relationships = 0, NULL, d.health_p50 / 1e6) AS health_median,
    if(relationships = 0, NULL, d.health_p75 / 1e6) AS health_p75,
    if(relationships = 0, NULL, d.health_p95 / 1e6) AS health_p95,
    d.thriving / nullIf(relationships, 0) AS thriving, d.steady / nullIf(relationships, 0) AS steady,
    d.strained / nullIf(relationships, 0) AS strained, d.critical / nullIf(relationships, 0) AS critical,
    at_risk, alerts, fromUnixTimestamp64Micro(toInt64(d.version), 'UTC') AS changed_at
FROM mentoring.program_daily AS d FINAL
LEFT JOIN
(
    SELECT tenant_id, program_id, max(day) AS last_day
    FROM mentoring.activity_daily FINAL
    GROUP BY tenant_id, program_id
) AS known USING (tenant_id, program_id)
SETTINGS join_use_nulls = 0
COMMENT 'One row per programme and UTC day: size, health, bands, risk, alerts';

CREATE OR REPLACE VIEW mentoring_mart.program_week {on_cluster}
(
    tenant_id                 LowCardinality(String) COMMENT 'The organisation',
    program_id                LowCardinality(String) COMMENT 'The mentoring programme',
    week                      Date COMMENT 'Monday of the week, UTC',
    relationships             UInt32 COMMENT 'Relationships with a score that week, ended ones aside; figures are of the last score of the week',
    active_relationships      UInt32 COMMENT 'Relationships with a session or a message that week',
    sessions                  UInt32 COMMENT 'Sessions held',
    messages                  UInt32 COMMENT 'Messages sent',
    sessions_per_relationship Nullable(Float64) COMMENT 'Sessions held for each relationship of the week',
    health_mean               Nullable(Float64) COMMENT 'Mean health',
    health_median             Nullable(Float64) COMMENT 'Median health',
    at_risk                   UInt32 COMMENT 'Relationships with a risk of 0.70 or more',
    share_at_risk             Nullable(Float64) COMMENT 'Their share, 0 to 1',
    on_track                  UInt32 COMMENT 'Relationships on track, as coordinators see them',
    needs_attention           UInt32 COMMENT 'Relationships that need attention',
    too_early                 UInt32 COMMENT 'Relationships of which it is too early to tell',
    ended                     UInt32 COMMENT 'Relationships whose last score of the week says that they have ended',
    changed_at                DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, week, countIf(scored AND state.status != 'ended') AS relationships,
    countIf(contacts > 0) AS active_relationships, sum(held) AS sessions, sum(sent) AS messages,
    sessions / nullIf(relationships, 0) AS sessions_per_relationship,
    avgOrNullIf(state.health / 1e6, scored AND state.status != 'ended') AS health_mean,
    quantileExactInclusiveOrNullIf(0.5)(state.health / 1e6, scored AND state.status != 'ended') AS health_median,
    countIf(scored AND state.status != 'ended' AND state.risk >= 700000) AS at_risk,
    at_risk / nullIf(relationships, 0) AS share_at_risk,
    countIf(scored AND state.status != 'ended' AND mark = 'on track') AS on_track,
    countIf(scored AND state.status != 'ended' AND mark = 'needs attention') AS needs_attention,
    countIf(scored AND state.status != 'ended' AND mark = 'too early to tell') AS too_early,
    countIf(scored AND state.status = 'ended') AS ended,
    fromUnixTimestamp64Micro(toInt64(max(newest)), 'UTC') AS changed_at
FROM
(
    SELECT
        tenant_id, program_id, toMonday(day) AS week, relationship_id, countIf(scores > 0) > 0 AS scored,
        argMaxIf(CAST((d.health, d.risk, d.confidence, toString(d.band), toString(d.status)),
            'Tuple(health Int32, risk Int32, confidence Int32, band String, status String)'), day, scores > 0) AS state,
        multiIf(state.confidence < 250000, 'too early to tell', state.band IN ('thriving', 'steady') AND state.risk < 700000, 'on track', 'needs attention') AS mark,
        sum(d.sessions) AS held, sum(d.messages) AS sent, held + sent AS contacts, max(d.version) AS newest
    FROM mentoring.relationship_daily AS d FINAL
    GROUP BY tenant_id, program_id, week, relationship_id
)
GROUP BY tenant_id, program_id, week
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per programme and week: activity, health, bands, risk';

CREATE OR REPLACE VIEW mentoring_mart.activity_day {on_cluster}
(
    tenant_id     LowCardinality(String) COMMENT 'The organisation',
    program_id    LowCardinality(String) COMMENT 'The mentoring programme',
    day           Date COMMENT 'UTC day',
    type          LowCardinality(String) COMMENT 'What happened, for example mentoring.session.held.v1',
    events        UInt32 COMMENT 'How often',
    relationships UInt32 COMMENT 'In how many relationships',
    minutes       Nullable(Float64) COMMENT 'Minutes of held sessions whose length is known',
    late          UInt32 COMMENT 'Of the events, those recorded more than a day after they happened',
    changed_at    DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, day, type, events, relationships, nullIf(a.minutes, 0) AS minutes, late,
    fromUnixTimestamp64Micro(toInt64(a.version), 'UTC') AS changed_at
FROM mentoring.activity_daily AS a FINAL
COMMENT 'One row per programme, UTC day and type of event that stands';

CREATE OR REPLACE VIEW mentoring_mart.programs {on_cluster}
(
    tenant_id    LowCardinality(String) COMMENT 'The organisation',
    program_id   LowCardinality(String) COMMENT 'The mentoring programme',
    region       Nullable(String) COMMENT 'Where it is',
    time_zone    LowCardinality(String) COMMENT 'IANA name of its zone',
    coordinator  Nullable(String) COMMENT 'Pseudonymous key of its coordinator',
    profile      LowCardinality(String) COMMENT 'Newest version of its scoring profile',
    cadence_days Float64 COMMENT 'Expected days between sessions, unless a relationship says otherwise',
    horizon_days Float64 COMMENT 'Horizon of the risk, in days',
    recorded_at  DateTime64(6, 'UTC') COMMENT 'When it was applied',
    changed_at   DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, nullIf(p.region, '') AS region, time_zone, nullIf(p.coordinator, '') AS coordinator, profile,
    cadence_days, horizon_days, recorded_at, p.inserted_at AS changed_at
FROM mentoring.programs AS p FINAL
COMMENT 'One row per programme that somebody has described';

CREATE OR REPLACE VIEW mentoring_mart.sources {on_cluster}
(
    tenant_id            LowCardinality(String) COMMENT 'The organisation',
    program_id           LowCardinality(String) COMMENT 'The mentoring programme',
    source               LowCardinality(String) COMMENT 'The feed',
    events               UInt64 COMMENT 'Events that it has told',
    first_event_at       DateTime64(6, 'UTC') COMMENT 'The first, by occurred_at',
    last_event_at        DateTime64(6, 'UTC') COMMENT 'The last, by occurred_at',
    last_recorded_at     DateTime64(6, 'UTC') COMMENT 'When it last spoke',
    median_delay_seconds Float64 COMMENT 'From happening to being recorded, median',
    p95_delay_seconds    Float64 COMMENT 'From happening to being recorded, 95th percentile',
    expected_hours       Nullable(Float64) COMMENT 'How often it is expected to speak; NULL when nobody said',
    silent_hours         Float64 COMMENT 'From when it last spoke to the last event of any feed of the programme',
    changed_at           DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    e.tenant_id AS tenant_id, e.program_id AS program_id, e.source AS source, events, first_event_at, last_event_at,
    last_recorded_at, median_delay_seconds, p95_delay_seconds,
    nullIf(p.expected_hours[indexOf(p.expected_sources, toString(e.source))], 0) AS expected_hours,
    dateDiff('second', last_recorded_at, max(last_recorded_at) OVER (PARTITION BY e.tenant_id, e.program_id)) / 3600
        AS silent_hours,
    e.changed_at AS changed_at
FROM
(
    SELECT
        tenant_id, program_id, source, count() AS events, min(occurred_at) AS first_event_at,
        max(occurred_at) AS last_event_at, max(recorded_at) AS last_recorded_at, max(inserted_at) AS changed_at,
        quantile(0.5)(dateDiff('microsecond', occurred_at, recorded_at) / 1e6) AS median_delay_seconds,
        quantile(0.95)(dateDiff('microsecond', occurred_at, recorded_at) / 1e6) AS p95_delay_seconds
    FROM mentoring.events FINAL
    GROUP BY tenant_id, program_id, source
) AS e
LEFT JOIN mentoring.programs AS p FINAL ON p.tenant_id = e.tenant_id AND p.program_id = e.program_id
SETTINGS do_not_merge_across_partitions_select_final = 1, join_use_nulls = 0
COMMENT 'One row per programme and feed: how much it tells, how late, since when it is silent';
