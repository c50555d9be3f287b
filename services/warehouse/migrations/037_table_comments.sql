-- Clearer comments of the underlying tables, for data dictionaries and BI tools.
-- The comment of a table has a statement of its own: ON CLUSTER runs an ALTER of a replicated table on every replica only
-- if all its commands are COMMENT COLUMN, or all are MODIFY COMMENT. Otherwise one replica alone would get the comments.
ALTER TABLE mentoring.activity_daily {on_cluster}
    COMMENT COLUMN IF EXISTS type 'Event type, for example mentoring.session.held.v1',
    COMMENT COLUMN IF EXISTS events 'Number of events, by occurred_at',
    COMMENT COLUMN IF EXISTS relationships 'Number of relationships with such events',
    COMMENT COLUMN IF EXISTS minutes 'Total minutes of held sessions with a known length',
    COMMENT COLUMN IF EXISTS late 'Events recorded more than a day after they happened',
    COMMENT COLUMN IF EXISTS is_deleted '1: no event of this type is left on this day';

ALTER TABLE mentoring.alert_acts {on_cluster}
    COMMENT COLUMN IF EXISTS at 'When the action was taken, wall-clock time',
    COMMENT COLUMN IF EXISTS subject 'Id of what the alert is about',
    COMMENT COLUMN IF EXISTS decided_at 'When the action took effect, wall-clock time',
    COMMENT COLUMN IF EXISTS alert_key 'Hash of rule and subject, the same in all episodes',
    COMMENT COLUMN IF EXISTS dedup_key 'Id of the alert episode',
    COMMENT COLUMN IF EXISTS rule 'Rule that raised the alert',
    COMMENT COLUMN IF EXISTS act 'Action: acknowledge, unacknowledge, snooze, assign, note, vote',
    COMMENT COLUMN IF EXISTS state 'Handling state of the alert after the action: open, acknowledged, snoozed',
    COMMENT COLUMN IF EXISTS until 'When this handling state ends; 1970 when no end is set',
    COMMENT COLUMN IF EXISTS assigned 'Whether the alert is assigned to somebody after the action',
    COMMENT COLUMN IF EXISTS verdict 'Verdict of a vote: useful, not_useful; empty for other actions',
    COMMENT COLUMN IF EXISTS closing 'Outcome of the alert, as stated in the vote; empty for other actions',
    COMMENT COLUMN IF EXISTS refused 'Whether the action was refused and changed nothing';

ALTER TABLE mentoring.alert_acts {on_cluster} MODIFY COMMENT 'Every action of a person on an alert; read with FINAL or through mentoring_mart.alert_acts';

ALTER TABLE mentoring.alert_log {on_cluster}
    COMMENT COLUMN IF EXISTS relationship_id 'The mentoring relationship that the alert is about; empty when it is about a programme or a source',
    COMMENT COLUMN IF EXISTS subject 'Id of what the alert is about',
    COMMENT COLUMN IF EXISTS seq 'Sequence number of the transition across all episodes of the alert; 0 for transitions from before numbering',
    COMMENT COLUMN IF EXISTS alert_key 'Hash of rule and subject, the same in all episodes',
    COMMENT COLUMN IF EXISTS dedup_key 'Id of the alert episode, shared by all its transitions',
    COMMENT COLUMN IF EXISTS rule 'Rule that raised the alert',
    COMMENT COLUMN IF EXISTS rule_version 'Version of the rule',
    COMMENT COLUMN IF EXISTS urgency 'Urgency: P1 notify at once, P2 the same working day, P3 in the digest',
    COMMENT COLUMN IF EXISTS transition 'Transition of the alert; escalated: the same episode became more urgent',
    COMMENT COLUMN IF EXISTS decided_at 'When the transition was decided, wall-clock time',
    COMMENT COLUMN IF EXISTS as_of 'Instant of the score that the decision is based on',
    COMMENT COLUMN IF EXISTS trigger_source 'Source of the event that triggered the transition; empty when only time had passed',
    COMMENT COLUMN IF EXISTS trigger_id 'Id of the event that triggered the transition',
    COMMENT COLUMN IF EXISTS trigger_type 'Type of the event that triggered the transition',
    COMMENT COLUMN IF EXISTS reasons 'Reasons by name, with their points in millionths',
    COMMENT COLUMN IF EXISTS summary 'Text of the notification',
    COMMENT COLUMN IF EXISTS next_step 'Recommended next step in the notification',
    COMMENT COLUMN IF EXISTS not_sent 'Why no notification was sent; empty when one was sent';

ALTER TABLE mentoring.backup_offsets {on_cluster}
    COMMENT COLUMN IF EXISTS noted_at 'When the offset was recorded';

ALTER TABLE mentoring.dead_letter {on_cluster}
    COMMENT COLUMN IF EXISTS log_partition 'Partition of the record',
    COMMENT COLUMN IF EXISTS log_offset 'Offset of the record',
    COMMENT COLUMN IF EXISTS reason 'Reason: a code of the validator, or the error code of ClickHouse',
    COMMENT COLUMN IF EXISTS path 'Path of the problem in the record; empty for the record as a whole',
    COMMENT COLUMN IF EXISTS size 'Size of the record''s value in bytes',
    COMMENT COLUMN IF EXISTS sha256 'SHA-256 of the record''s value, hex';

ALTER TABLE mentoring.dead_letter {on_cluster} MODIFY COMMENT 'Records that the warehouse could not store, with the reason; kept for 30 days';

ALTER TABLE mentoring.delivery_log {on_cluster}
    COMMENT COLUMN IF EXISTS relationship_id 'The mentoring relationship that the alert is about; empty when it is about a programme or a source',
    COMMENT COLUMN IF EXISTS delivery_id 'Id of the message to one recipient',
    COMMENT COLUMN IF EXISTS item 'Number of the alert within the message; 0: the first, which represents the message',
    COMMENT COLUMN IF EXISTS dedup_key 'Episode of the alert that the message reports',
    COMMENT COLUMN IF EXISTS rule 'Rule that raised the alert',
    COMMENT COLUMN IF EXISTS urgency 'Urgency: P1 notify at once, P2 the same working day, P3 in the digest',
    COMMENT COLUMN IF EXISTS transition 'What the message reports about the alert: fired, escalated, resolved',
    COMMENT COLUMN IF EXISTS channel 'Channel of the message',
    COMMENT COLUMN IF EXISTS state 'Delivery state: planned, started, delivered, dead',
    COMMENT COLUMN IF EXISTS status 'Response of the channel; empty when it was no protocol status',
    COMMENT COLUMN IF EXISTS latency_ms 'Latency of the last attempt, milliseconds',
    COMMENT COLUMN IF EXISTS due_at 'Earliest time to send the message',
    COMMENT COLUMN IF EXISTS started_at 'Time of the first attempt; 1970 when there was none';

ALTER TABLE mentoring.delivery_log {on_cluster} MODIFY COMMENT 'Every state change of every message to a recipient; read with FINAL or through mentoring_mart.deliveries';

ALTER TABLE mentoring.erased {on_cluster}
    COMMENT COLUMN IF EXISTS erased_at 'When the warehouse received the erasure';

ALTER TABLE mentoring.erased {on_cluster} MODIFY COMMENT 'Erased relationships; nothing else about them is stored';

ALTER TABLE mentoring.erasure_log {on_cluster}
    COMMENT COLUMN IF EXISTS erased_at 'When the erasure run began, by the clock of ClickHouse',
    COMMENT COLUMN IF EXISTS table_name 'Table from which rows were deleted',
    COMMENT COLUMN IF EXISTS relationships 'Erased relationships with rows in this table',
    COMMENT COLUMN IF EXISTS rows 'Rows deleted, including replaced versions';

ALTER TABLE mentoring.erasure_log {on_cluster} MODIFY COMMENT 'Erasures: when, and how many rows of which table; without ids';

ALTER TABLE mentoring.events {on_cluster}
    COMMENT COLUMN IF EXISTS event_id 'Hash of tenant, source and id, regardless of type and time',
    COMMENT COLUMN IF EXISTS type 'Event type, for example mentoring.session.held.v1',
    COMMENT COLUMN IF EXISTS source 'Feed that sent the event',
    COMMENT COLUMN IF EXISTS id 'Id of the event at its source',
    COMMENT COLUMN IF EXISTS recorded_at 'When Rapport recorded it; with occurred_at, allows queries as of a date',
    COMMENT COLUMN IF EXISTS actor 'Who acted',
    COMMENT COLUMN IF EXISTS evidence 'Kind of evidence',
    COMMENT COLUMN IF EXISTS tool 'Tool that holds the original record; empty when unknown',
    COMMENT COLUMN IF EXISTS session_id 'Id of the session that the event is about; empty when it is about none',
    COMMENT COLUMN IF EXISTS goal_id 'Id of the goal that the event is about; empty when it is about none',
    COMMENT COLUMN IF EXISTS minutes 'Length of a held session in minutes; 0 when unknown',
    COMMENT COLUMN IF EXISTS correlation_id 'Correlation id: the input that caused the event; empty when unknown',
    COMMENT COLUMN IF EXISTS position 'Position on the log: epoch << 48 | offset; increases within a relationship',
    COMMENT COLUMN IF EXISTS version '2^63 - position: of duplicates, the first on the log is valid';

ALTER TABLE mentoring.events_by_type {on_cluster}
    COMMENT COLUMN IF EXISTS type 'Event type, for example mentoring.goal.set.v1',
    COMMENT COLUMN IF EXISTS source 'Feed that sent the event',
    COMMENT COLUMN IF EXISTS id 'Id of the event at its source',
    COMMENT COLUMN IF EXISTS actor 'Who acted',
    COMMENT COLUMN IF EXISTS version '2^63 - position: of duplicates, the first on the log is valid';

ALTER TABLE mentoring.events_by_type {on_cluster} MODIFY COMMENT 'Events of the less frequent types, ordered by type; read with FINAL or through mentoring_mart.events_by_type';

ALTER TABLE mentoring.filled {on_cluster}
    COMMENT COLUMN IF EXISTS name 'Table that is copied or derived from others, with its database; followed by a number if columns were added later',
    COMMENT COLUMN IF EXISTS filled_at 'When it was last filled completely, or created in a database without stored rows';

ALTER TABLE mentoring.filled {on_cluster} MODIFY COMMENT 'Tables that include all rows stored before they were created; written by rapport warehouse migrate and recompute';

ALTER TABLE mentoring.migrations {on_cluster}
    COMMENT COLUMN IF EXISTS state 'in_progress: started and possibly not finished, runs again; completed';

ALTER TABLE mentoring.program_daily {on_cluster}
    COMMENT COLUMN IF EXISTS relationships 'Relationships whose last score of the day is active or paused; all figures of health, bands and risk use these last scores',
    COMMENT COLUMN IF EXISTS ended 'Relationships whose last score of the day is ended; not counted in any other column',
    COMMENT COLUMN IF EXISTS sessions 'Sessions held, by occurred_at of session.held';

ALTER TABLE mentoring.program_daily {on_cluster} MODIFY COMMENT 'Figures of each programme for every day with scores, events or alerts; read with FINAL or through mentoring_mart.program_day';

ALTER TABLE mentoring.program_weekly {on_cluster}
    COMMENT COLUMN IF EXISTS relationships 'Relationships with a score that week that had not ended; health, bands and risk use their last scores of the week',
    COMMENT COLUMN IF EXISTS on_track 'Relationships whose coordinator band is on track',
    COMMENT COLUMN IF EXISTS needs_attention 'Relationships whose coordinator band is needs attention',
    COMMENT COLUMN IF EXISTS too_early 'Relationships whose coordinator band is too early to tell',
    COMMENT COLUMN IF EXISTS ended 'Relationships with status ended in the last score of the week',
    COMMENT COLUMN IF EXISTS is_deleted '1: no data of this week is left';

ALTER TABLE mentoring.program_weekly {on_cluster} MODIFY COMMENT 'Figures of each programme for every week with scores or events; read with FINAL or through mentoring_mart.program_week';

ALTER TABLE mentoring.programs {on_cluster}
    COMMENT COLUMN IF EXISTS region 'Region of the programme; empty when not given',
    COMMENT COLUMN IF EXISTS time_zone 'Time zone of the programme, IANA name',
    COMMENT COLUMN IF EXISTS cadence_days 'Expected days between sessions, unless the relationship has its own value',
    COMMENT COLUMN IF EXISTS horizon_days 'Risk horizon in days',
    COMMENT COLUMN IF EXISTS offsets_since 'Seconds since 1970 from which each entry of offsets applies, oldest first',
    COMMENT COLUMN IF EXISTS offsets 'Offsets of the time zone from UTC in seconds, one for each entry of offsets_since',
    COMMENT COLUMN IF EXISTS expected_sources 'Feeds that are expected to send events',
    COMMENT COLUMN IF EXISTS expected_hours 'Expected hours between events of each feed',
    COMMENT COLUMN IF EXISTS recorded_at 'When this description was applied; 1970 in a deleted row';

ALTER TABLE mentoring.programs {on_cluster} MODIFY COMMENT 'Current description of each programme; read with FINAL or through mentoring_mart.programs';

ALTER TABLE mentoring.rejected {on_cluster}
    COMMENT COLUMN IF EXISTS origin_topic 'Topic of the original input',
    COMMENT COLUMN IF EXISTS origin_partition 'Partition of the original input',
    COMMENT COLUMN IF EXISTS origin_offset 'Offset of the original input',
    COMMENT COLUMN IF EXISTS part 'Number of the payload within the original input; 0 when it is a single payload',
    COMMENT COLUMN IF EXISTS requeued 'Whether this row records that the input was requeued instead of rejected',
    COMMENT COLUMN IF EXISTS reason 'Reason code, for example invalid, unresolved, conflict',
    COMMENT COLUMN IF EXISTS path 'Path of the problem in the input; ? replaces field names that Rapport does not know; empty for the input as a whole',
    COMMENT COLUMN IF EXISTS tool 'Tool that sent the input; other when Rapport does not know it',
    COMMENT COLUMN IF EXISTS size 'Size of the original input in bytes',
    COMMENT COLUMN IF EXISTS sha256 'SHA-256 of the stored part of the input, hex',
    COMMENT COLUMN IF EXISTS rejected_at 'When the input was rejected or requeued; 1970 when its record has no time';

ALTER TABLE mentoring.rejected {on_cluster} MODIFY COMMENT 'Rejected inputs, kept for 30 days; read with FINAL or through mentoring_mart.rejected_inputs';

ALTER TABLE mentoring.relationship_daily {on_cluster}
    COMMENT COLUMN IF EXISTS scores 'Scores of this day; without any, the following columns of health, risk, confidence, band and status are meaningless',
    COMMENT COLUMN IF EXISTS health 'Health in the last score of the day, in millionths',
    COMMENT COLUMN IF EXISTS health_min 'Lowest health of the day, in millionths',
    COMMENT COLUMN IF EXISTS health_max 'Highest health of the day, in millionths',
    COMMENT COLUMN IF EXISTS risk 'Risk in the last score of the day, in millionths',
    COMMENT COLUMN IF EXISTS risk_max 'Highest risk of the day, in millionths',
    COMMENT COLUMN IF EXISTS confidence 'Confidence in the last score of the day, in millionths',
    COMMENT COLUMN IF EXISTS band 'Band in the last score of the day; empty without scores',
    COMMENT COLUMN IF EXISTS status 'Status in the last score of the day; empty without scores';

ALTER TABLE mentoring.relationship_daily {on_cluster} MODIFY COMMENT 'Figures of each relationship for every day with scores or events; read with FINAL or through mentoring_mart.relationship_day';

ALTER TABLE mentoring.relationship_feedback {on_cluster}
    COMMENT COLUMN IF EXISTS given 'When each feedback was given, in time order; the following arrays have the same order',
    COMMENT COLUMN IF EXISTS event_ids 'Event ids of the feedback',
    COMMENT COLUMN IF EXISTS ratings 'Rating, converted to a scale from 1 to 5',
    COMMENT COLUMN IF EXISTS is_deleted '1: no feedback is left';

ALTER TABLE mentoring.relationship_feedback {on_cluster} MODIFY COMMENT 'Feedback with the newest score before it, one row per relationship; read with FINAL or through mentoring_mart.feedback';

ALTER TABLE mentoring.relationship_monthly {on_cluster}
    COMMENT COLUMN IF EXISTS scored 'Days with a score; health and risk use the last score of each day',
    COMMENT COLUMN IF EXISTS standing 'Days with a score on which the relationship had not ended',
    COMMENT COLUMN IF EXISTS cases 'Sampled days (every fourteenth since 1970) on which the relationship was active; the risk on them is compared with later contact',
    COMMENT COLUMN IF EXISTS case_risks 'Risk on each sampled day, in millionths',
    COMMENT COLUMN IF EXISTS next_contacts 'First day after each sampled day with a session or a message, within the month; 1970 when there is none',
    COMMENT COLUMN IF EXISTS is_deleted '1: no data of this month is left';

ALTER TABLE mentoring.relationship_monthly {on_cluster} MODIFY COMMENT 'Figures of each relationship for every month with scores or events; read with FINAL or through mentoring_mart.relationship_month';

ALTER TABLE mentoring.relationship_replies {on_cluster}
    COMMENT COLUMN IF EXISTS answered 'When each reply was sent, in time order; the following arrays have the same order',
    COMMENT COLUMN IF EXISTS answers 'Event ids of the replies',
    COMMENT COLUMN IF EXISTS asked 'When the answered message was sent',
    COMMENT COLUMN IF EXISTS sides 'Who replied: mentor, mentee, admin, system',
    COMMENT COLUMN IF EXISTS is_deleted '1: no replies are left';

ALTER TABLE mentoring.relationship_replies {on_cluster} MODIFY COMMENT 'Replies to messages, one row per relationship; read with FINAL or through mentoring_mart.replies';

ALTER TABLE mentoring.relationship_state {on_cluster}
    COMMENT COLUMN IF EXISTS caps 'Conditions that limit the band to strained at best: support_open, fit_not_good',
    COMMENT COLUMN IF EXISTS confidence 'Confidence: how much data the score is based on, 0 to 1, in millionths',
    COMMENT COLUMN IF EXISTS trend 'Trend of health, points per four weeks, in millionths',
    COMMENT COLUMN IF EXISTS open_requests 'Unresolved support requests',
    COMMENT COLUMN IF EXISTS position 'Position on the log up to which the score includes events: epoch << 48 | offset';

ALTER TABLE mentoring.relationships {on_cluster}
    COMMENT COLUMN IF EXISTS declared 'Whether a start was declared; otherwise the relationship is known only from its events',
    COMMENT COLUMN IF EXISTS cadence_days 'Agreed days between sessions; 0 when not agreed',
    COMMENT COLUMN IF EXISTS planned_end 'Planned end; 1970 when none was given',
    COMMENT COLUMN IF EXISTS smart_goals 'Goals set with an assessment against the SMART criteria',
    COMMENT COLUMN IF EXISTS smart_criteria 'Number of SMART criteria (five per goal) that these goals meet in total',
    COMMENT COLUMN IF EXISTS end_reason 'Reason code of the end; empty while it has not ended';

ALTER TABLE mentoring.score_history {on_cluster}
    COMMENT COLUMN IF EXISTS causes 'Causes of the score at this instant',
    COMMENT COLUMN IF EXISTS caps 'Conditions that limit the band to strained at best: support_open, fit_not_good',
    COMMENT COLUMN IF EXISTS deltas 'Change of each contribution since the previous score, points in millionths',
    COMMENT COLUMN IF EXISTS before_as_of 'Instant of the previous score, from which deltas are computed; 1970 when before_band is none',
    COMMENT COLUMN IF EXISTS before_health 'Health in the previous score, in millionths',
    COMMENT COLUMN IF EXISTS before_band 'Band in the previous score; none when there is no previous score',
    COMMENT COLUMN IF EXISTS before_risk 'Risk in the previous score, in millionths',
    COMMENT COLUMN IF EXISTS confidence 'Confidence: how much data the score is based on, 0 to 1, in millionths',
    COMMENT COLUMN IF EXISTS trend 'Trend of health, points per four weeks, in millionths',
    COMMENT COLUMN IF EXISTS open_requests 'Unresolved support requests',
    COMMENT COLUMN IF EXISTS trigger_source 'Source of the event that triggered the score; empty when only time had passed',
    COMMENT COLUMN IF EXISTS trigger_id 'Id of the event that triggered the score',
    COMMENT COLUMN IF EXISTS trigger_type 'Type of the event that triggered the score',
    COMMENT COLUMN IF EXISTS trigger_time 'When the triggering event happened',
    COMMENT COLUMN IF EXISTS trigger_recorded 'When the triggering event was recorded',
    COMMENT COLUMN IF EXISTS kind 'changed: the newest score; corrected: an earlier score, recomputed from later information',
    COMMENT COLUMN IF EXISTS mode 'Process that computed the row',
    COMMENT COLUMN IF EXISTS position 'Position on the log up to which the score includes events: epoch << 48 | offset',
    COMMENT COLUMN IF EXISTS is_deleted '1: this instant no longer has a score';

ALTER TABLE mentoring.score_history {on_cluster} MODIFY COMMENT 'Scores of every relationship at every scored instant, with their explanation; read with FINAL or through mentoring_mart.scores';

ALTER TABLE mentoring.score_revisions {on_cluster}
    COMMENT COLUMN IF EXISTS causes 'Causes of the score at this instant',
    COMMENT COLUMN IF EXISTS caps 'Conditions that limit the band to strained at best: support_open, fit_not_good',
    COMMENT COLUMN IF EXISTS deltas 'Change of each contribution since the previous score, points in millionths',
    COMMENT COLUMN IF EXISTS before_as_of 'Instant of the previous score, from which deltas are computed; 1970 when before_band is none',
    COMMENT COLUMN IF EXISTS before_health 'Health in the previous score, in millionths',
    COMMENT COLUMN IF EXISTS before_band 'Band in the previous score; none when there is no previous score',
    COMMENT COLUMN IF EXISTS before_risk 'Risk in the previous score, in millionths',
    COMMENT COLUMN IF EXISTS confidence 'Confidence: how much data the score is based on, 0 to 1, in millionths',
    COMMENT COLUMN IF EXISTS trend 'Trend of health, points per four weeks, in millionths',
    COMMENT COLUMN IF EXISTS open_requests 'Unresolved support requests',
    COMMENT COLUMN IF EXISTS trigger_source 'Source of the event that triggered the score; empty when only time had passed',
    COMMENT COLUMN IF EXISTS trigger_id 'Id of the event that triggered the score',
    COMMENT COLUMN IF EXISTS trigger_type 'Type of the event that triggered the score',
    COMMENT COLUMN IF EXISTS trigger_time 'When the triggering event happened',
    COMMENT COLUMN IF EXISTS trigger_recorded 'When the triggering event was recorded',
    COMMENT COLUMN IF EXISTS kind 'changed: the newest score; corrected: an earlier score, recomputed from later information',
    COMMENT COLUMN IF EXISTS mode 'Process that computed the row',
    COMMENT COLUMN IF EXISTS position 'Position on the log up to which the score includes events: epoch << 48 | offset',
    COMMENT COLUMN IF EXISTS version '2 * position + 1 for mode heal: the greatest is valid, the others were replaced',
    COMMENT COLUMN IF EXISTS is_deleted '1: as of this version, the instant no longer has a score',
    COMMENT COLUMN IF EXISTS emitted_at 'When scoring wrote it to the log, wall-clock time; 1970 when its record has no time';

ALTER TABLE mentoring.standing_events {on_cluster}
    COMMENT COLUMN IF EXISTS type 'Event type',
    COMMENT COLUMN IF EXISTS source 'Feed that sent the event',
    COMMENT COLUMN IF EXISTS id 'Id of the event at its source',
    COMMENT COLUMN IF EXISTS actor 'Who acted: mentor, mentee, admin, system',
    COMMENT COLUMN IF EXISTS evidence 'Kind of evidence',
    COMMENT COLUMN IF EXISTS session_id 'Id of the session that the event is about; empty when it is about none',
    COMMENT COLUMN IF EXISTS goal_id 'Id of the goal that the event is about; empty when it is about none',
    COMMENT COLUMN IF EXISTS minutes 'Length of a held session in minutes; 0 when unknown',
    COMMENT COLUMN IF EXISTS position 'Position on the log: epoch << 48 | offset';

ALTER TABLE mentoring.standing_events {on_cluster} MODIFY COMMENT 'Events without duplicates and without retracted events';

ALTER TABLE mentoring.to_events_by_type {on_cluster}
    COMMENT COLUMN IF EXISTS type 'Event type',
    COMMENT COLUMN IF EXISTS source 'Feed that sent the event',
    COMMENT COLUMN IF EXISTS id 'Id of the event at its source',
    COMMENT COLUMN IF EXISTS actor 'Who acted';

ALTER TABLE mentoring.to_events_by_type {on_cluster} MODIFY COMMENT 'Copies rows from events to events_by_type';
