-- Relationships month by month: what an evaluation of quarters and the reliability of the risk counted from every day of
-- every relationship at each question.
-- ORDER BY: most questions name a programme. PARTITION BY year: few rows, and a row never leaves its year.
-- Engine: the latest recomputation is valid; is_deleted takes away a month of which nothing is left.
-- Months of before are computed by `rapport warehouse recompute`.
CREATE TABLE IF NOT EXISTS mentoring.relationship_monthly {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    month           Date COMMENT 'First day of the month, UTC',
    relationship_id String CODEC(ZSTD(1)) COMMENT 'The mentoring relationship (pair or group)',
    scored          UInt32 COMMENT 'Days with a score; figures are of the last score of each day',
    standing        UInt32 COMMENT 'Of these, days on which it had not ended',
    health_sum      Int64 COMMENT 'Sum of health over the days with a score, in millionths',
    at_risk         UInt32 COMMENT 'Days with a risk of 0.70 or more',
    sessions        UInt32 COMMENT 'Sessions held',
    messages        UInt32 COMMENT 'Messages sent',
    first_contact   Date COMMENT 'First day with a session or a message; 1970 when there is none',
    last_day        Date COMMENT 'Last day with scores or events',
    cases           Array(Date) CODEC(ZSTD(1)) COMMENT 'Every fourteenth day (of those since 1970) on which it was active: what the risk said then is compared with what happened',
    case_risks      Array(Int32) CODEC(ZSTD(1)) COMMENT 'Risk on each of these days, in millionths',
    next_contacts   Array(Date) CODEC(ZSTD(1)) COMMENT 'The first day after each with a session or a message, within the month; 1970 when there is none',
    version         UInt64 COMMENT 'When it was recomputed, microseconds since 1970; grows with every recomputation',
    is_deleted      UInt8 COMMENT '1: nothing of this month is left'
)
ENGINE = {engine}ReplacingMergeTree(version, is_deleted)
PARTITION BY toYear(month)
ORDER BY (tenant_id, program_id, month, relationship_id)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
COMMENT 'Every relationship in every month it has scores or events; read with FINAL or through mentoring_mart.relationship_month';

CREATE OR REPLACE VIEW mentoring_mart.relationship_month {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    month           Date COMMENT 'First day of the month, UTC',
    days_scored     UInt32 COMMENT 'Days with a score; figures are of the last score of each day',
    days_standing   UInt32 COMMENT 'Of these, days on which it had not ended',
    days_at_risk    UInt32 COMMENT 'Of the days with a score, those with a risk of 0.70 or more',
    health_mean     Nullable(Float64) COMMENT 'Mean of health over the days with a score',
    health_sum      Float64 COMMENT 'Its sum over these days: with days_scored it gives means over several months',
    sessions        UInt32 COMMENT 'Sessions held',
    messages        UInt32 COMMENT 'Messages sent, by either side',
    changed_at      DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, relationship_id, month, m.scored AS days_scored, m.standing AS days_standing,
    m.at_risk AS days_at_risk, m.health_sum / 1e6 / nullIf(m.scored, 0) AS health_mean, m.health_sum / 1e6 AS health_sum,
    m.sessions AS sessions, m.messages AS messages, fromUnixTimestamp64Micro(toInt64(m.version), 'UTC') AS changed_at
FROM mentoring.relationship_monthly AS m FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per relationship and UTC month with scores or events';

-- What comes after the month of a case is found among the first contacts of later months.
CREATE OR REPLACE VIEW mentoring_mart.risk_cases {on_cluster}
(
    tenant_id       LowCardinality(String) COMMENT 'The organisation',
    program_id      LowCardinality(String) COMMENT 'The mentoring programme',
    relationship_id String COMMENT 'The mentoring relationship (pair or group)',
    day             Date COMMENT 'UTC day on which it was active: every fourteenth of those since 1970',
    risk            Float64 COMMENT 'Risk in the last score of this day',
    next_contact    Nullable(Date) COMMENT 'The first day after it with a session or a message',
    known_until     Date COMMENT 'The last day of which anything is known of the relationship: a silence is one if it is as long as the horizon by then',
    changed_at      DateTime64(6, 'UTC') COMMENT 'When this row last changed in the warehouse: what was recomputed is seen by it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    tenant_id, program_id, relationship_id, one.1 AS day, one.2 / 1e6 AS risk,
    nullIf(if(one.3 > toDate(0), one.3, arrayMin(arrayFilter(contact -> contact > one.1, contacts))), toDate(0))
        AS next_contact,
    known_until, fromUnixTimestamp64Micro(toInt64(newest), 'UTC') AS changed_at
FROM
(
    SELECT
        tenant_id, program_id, relationship_id,
        groupArrayArray(arrayZip(m.cases, m.case_risks, m.next_contacts)) AS told,
        groupArrayIf(m.first_contact, m.first_contact > toDate(0)) AS contacts, max(m.last_day) AS known_until,
        max(m.version) AS newest
    FROM mentoring.relationship_monthly AS m FINAL
    GROUP BY tenant_id, program_id, relationship_id
)
ARRAY JOIN told AS one
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per relationship and day on which its risk is compared with what happened afterwards';
