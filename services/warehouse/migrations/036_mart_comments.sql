-- Clearer comments of the marts, for data dictionaries and BI tools. Comments of a view change without a new definition.
-- A view has no replicas: one ALTER changes its comment and those of its columns, on every server of a cluster.
ALTER TABLE mentoring_mart.activity_day {on_cluster}
    COMMENT COLUMN IF EXISTS type 'Event type, for example mentoring.session.held.v1',
    COMMENT COLUMN IF EXISTS events 'Number of events',
    COMMENT COLUMN IF EXISTS relationships 'Number of relationships with such events',
    COMMENT COLUMN IF EXISTS minutes 'Total minutes of held sessions with a known length',
    COMMENT COLUMN IF EXISTS late 'Events recorded more than a day after they happened',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per programme, UTC day and event type; retracted events are not counted';

ALTER TABLE mentoring_mart.alert_acts {on_cluster}
    COMMENT COLUMN IF EXISTS subject 'Id of what the alert is about',
    COMMENT COLUMN IF EXISTS event_id 'Id of the action',
    COMMENT COLUMN IF EXISTS dedup_key 'Id of the alert episode',
    COMMENT COLUMN IF EXISTS rule 'Rule that raised the alert',
    COMMENT COLUMN IF EXISTS acted_at 'When the action was taken, wall-clock time',
    COMMENT COLUMN IF EXISTS act 'Action: acknowledge, unacknowledge, snooze, assign, note, vote; the person is not stored',
    COMMENT COLUMN IF EXISTS state 'Handling state of the alert after the action: open, acknowledged, snoozed',
    COMMENT COLUMN IF EXISTS until 'When this handling state ends',
    COMMENT COLUMN IF EXISTS assigned 'Whether the alert is assigned to somebody after the action',
    COMMENT COLUMN IF EXISTS verdict 'Verdict of a vote: useful, not_useful',
    COMMENT COLUMN IF EXISTS closing 'Outcome of the alert, as stated in the vote',
    COMMENT COLUMN IF EXISTS refused 'Whether the action was refused and changed nothing',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per action of a person on an alert (event_id)';

ALTER TABLE mentoring_mart.alert_outcomes {on_cluster}
    COMMENT COLUMN IF EXISTS dedup_key 'Id of the alert episode',
    COMMENT COLUMN IF EXISTS rule 'Rule that raised the alert',
    COMMENT COLUMN IF EXISTS horizon_days 'Days after firing in which outcomes are counted: the programme''s risk horizon, or 30',
    COMMENT COLUMN IF EXISTS told 'Whether people were notified; their reaction may prevent the outcome that the alert predicts',
    COMMENT COLUMN IF EXISTS came_true 'Whether the relationship ended unplanned, or had neither session nor message, within the horizon; NULL until this is known',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per episode of a relationship''s alert that was not withdrawn: what happened within the horizon after it fired';

ALTER TABLE mentoring_mart.alerts {on_cluster}
    COMMENT COLUMN IF EXISTS subject_kind 'What the alert is about: relationship, programme, source',
    COMMENT COLUMN IF EXISTS subject 'Id of what the alert is about',
    COMMENT COLUMN IF EXISTS dedup_key 'Id of the alert episode',
    COMMENT COLUMN IF EXISTS rule 'Rule that raised the alert',
    COMMENT COLUMN IF EXISTS urgency 'Urgency at the last transition: P1 notify at once, P2 the same working day, P3 in the digest',
    COMMENT COLUMN IF EXISTS local_day 'Day of firing in the programme''s time zone; UTC if the programme has no description',
    COMMENT COLUMN IF EXISTS decided_at 'When the decision to fire was made, wall-clock time',
    COMMENT COLUMN IF EXISTS acknowledged_at 'When somebody first acknowledged or snoozed it, wall-clock time',
    COMMENT COLUMN IF EXISTS minutes_to_acknowledge 'Minutes from decided_at to acknowledged_at',
    COMMENT COLUMN IF EXISTS hours_open 'Hours from firing to resolution',
    COMMENT COLUMN IF EXISTS withdrawn 'Whether it was withdrawn because the events it was based on were corrected; exclude it from counts',
    COMMENT COLUMN IF EXISTS summary 'Text of the notification',
    COMMENT COLUMN IF EXISTS next_step 'Recommended next step in the notification',
    COMMENT COLUMN IF EXISTS not_sent 'Why no notification was sent when it fired',
    COMMENT COLUMN IF EXISTS closing 'Outcome of the alert, as stated in the last vote',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per episode of an alert (dedup_key): when and why it fired, when it was acknowledged and resolved, and how people voted on it';

ALTER TABLE mentoring_mart.data_quality {on_cluster}
    COMMENT COLUMN IF EXISTS tenant_id 'The organisation; empty for items that belong to no programme',
    COMMENT COLUMN IF EXISTS program_id 'The mentoring programme; empty for items that belong to no programme',
    COMMENT COLUMN IF EXISTS kind 'Kind of problem. undeclared: relationships without a declared start; late: events recorded more than a day after they happened; retracted: retracted events; stale: relationships whose newest score is more than two days older than the newest of their programme; rejected: rejected inputs; strangers: those of them about unknown people; dead_letters: records that could not be stored',
    COMMENT COLUMN IF EXISTS items 'Number of items with this problem',
    COMMENT COLUMN IF EXISTS of 'Number of items checked',
    COMMENT COLUMN IF EXISTS newest_at 'Time of the newest item with this problem',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per programme and kind of quality problem, with the number of items affected';

ALTER TABLE mentoring_mart.dead_letters {on_cluster}
    COMMENT COLUMN IF EXISTS log_partition 'Partition of the record',
    COMMENT COLUMN IF EXISTS log_offset 'Offset of the record',
    COMMENT COLUMN IF EXISTS reason 'Reason: a code of the validator, or the error code of ClickHouse',
    COMMENT COLUMN IF EXISTS path 'Path of the problem in the record',
    COMMENT COLUMN IF EXISTS size 'Size of the record''s value in bytes',
    COMMENT COLUMN IF EXISTS sha256 'SHA-256 of the record''s value, hex',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included';

ALTER TABLE mentoring_mart.deliveries {on_cluster}
    COMMENT COLUMN IF EXISTS delivery_id 'Id of the message to one recipient',
    COMMENT COLUMN IF EXISTS dedup_key 'Episode of the first alert in the message; delivery_alerts lists all of them',
    COMMENT COLUMN IF EXISTS rule 'Rule that raised the alert',
    COMMENT COLUMN IF EXISTS urgency 'Urgency: P1 notify at once, P2 the same working day, P3 in the digest',
    COMMENT COLUMN IF EXISTS transition 'What the message reports about the alert: fired, escalated, resolved, reminded, unstable',
    COMMENT COLUMN IF EXISTS channel 'Channel of the message',
    COMMENT COLUMN IF EXISTS state 'Delivery state: planned, held, started, unknown, delivered, dead, superseded',
    COMMENT COLUMN IF EXISTS status 'Response of the channel',
    COMMENT COLUMN IF EXISTS planned_at 'When the message was planned',
    COMMENT COLUMN IF EXISTS due_at 'Earliest time to send the message',
    COMMENT COLUMN IF EXISTS started_at 'Time of the first attempt',
    COMMENT COLUMN IF EXISTS delivered_at 'When the message was delivered',
    COMMENT COLUMN IF EXISTS latency_ms 'Latency of the last attempt, milliseconds',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per message to one recipient (delivery_id), in its latest state; recipients are not stored';

ALTER TABLE mentoring_mart.delivery_alerts {on_cluster}
    COMMENT COLUMN IF EXISTS delivery_id 'Id of the message to one recipient',
    COMMENT COLUMN IF EXISTS dedup_key 'Episode of an alert that the message reports',
    COMMENT COLUMN IF EXISTS rule 'Rule that raised the alert',
    COMMENT COLUMN IF EXISTS transition 'What the message reports about the alert: fired, escalated, resolved, reminded, unstable',
    COMMENT COLUMN IF EXISTS channel 'Channel of the message',
    COMMENT COLUMN IF EXISTS delivered_at 'When the message was delivered',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per message to one recipient and alert episode that the message reports';

ALTER TABLE mentoring_mart.erasures {on_cluster}
    COMMENT COLUMN IF EXISTS erased_at 'Time of the erasure run',
    COMMENT COLUMN IF EXISTS table_name 'Table from which rows were deleted',
    COMMENT COLUMN IF EXISTS relationships 'Erased relationships with rows in this table',
    COMMENT COLUMN IF EXISTS rows 'Rows deleted, including replaced versions',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per organisation, erasure run and table, with the number of rows deleted; without ids';

ALTER TABLE mentoring_mart.events {on_cluster}
    COMMENT COLUMN IF EXISTS local_day 'Day in the programme''s time zone; UTC if the programme has no description',
    COMMENT COLUMN IF EXISTS event_id 'Id of the event',
    COMMENT COLUMN IF EXISTS type 'Event type, for example mentoring.session.held.v1',
    COMMENT COLUMN IF EXISTS source 'Feed that sent the event',
    COMMENT COLUMN IF EXISTS id 'Id of the event at its source',
    COMMENT COLUMN IF EXISTS delay_seconds 'Seconds from occurred_at to recorded_at',
    COMMENT COLUMN IF EXISTS actor 'Who acted: mentor, mentee, admin, system',
    COMMENT COLUMN IF EXISTS evidence 'Kind of evidence: observed, calendar, self_reported, inferred, admin',
    COMMENT COLUMN IF EXISTS tool 'Tool that holds the original record',
    COMMENT COLUMN IF EXISTS session_id 'Id of the session that the event is about',
    COMMENT COLUMN IF EXISTS goal_id 'Id of the goal that the event is about',
    COMMENT COLUMN IF EXISTS minutes 'Length of a held session in minutes',
    COMMENT COLUMN IF EXISTS retracted 'Whether a later event retracts this event',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per event (event_id and occurred_at): every event of every relationship, without duplicates';

ALTER TABLE mentoring_mart.events_by_type {on_cluster}
    COMMENT COLUMN IF EXISTS event_id 'Id of the event',
    COMMENT COLUMN IF EXISTS type 'Event type, for example mentoring.goal.set.v1',
    COMMENT COLUMN IF EXISTS source 'Feed that sent the event',
    COMMENT COLUMN IF EXISTS id 'Id of the event at its source',
    COMMENT COLUMN IF EXISTS actor 'Who acted: mentor, mentee, admin, system',
    COMMENT COLUMN IF EXISTS retracted 'Whether a later event retracts this event',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per event (event_id and occurred_at) of the less frequent types: without messages, held sessions, attendance and goal progress; faster than events for queries that filter by type';

ALTER TABLE mentoring_mart.factor_costs {on_cluster}
    COMMENT COLUMN IF EXISTS factor 'Factor of health; or silence, which is deducted from all factors',
    COMMENT COLUMN IF EXISTS points 'Contribution to the current health, in points',
    COMMENT COLUMN IF EXISTS most 'Greatest possible contribution in points: its share of the weights of the factors with data',
    COMMENT COLUMN IF EXISTS cost 'Points lost to this factor: most minus points',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per relationship and factor: the points that each factor costs in the newest score';

ALTER TABLE mentoring_mart.feedback {on_cluster}
    COMMENT COLUMN IF EXISTS event_id 'Id of the feedback',
    COMMENT COLUMN IF EXISTS rating 'Rating, converted to a scale from 1 to 5',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per feedback that is not retracted (event_id and given_at), with the newest score before it, as known now';

ALTER TABLE mentoring_mart.filled_tables {on_cluster}
    COMMENT COLUMN IF EXISTS table_name 'Table that is copied or derived from others and read by marts',
    COMMENT COLUMN IF EXISTS filled 'Whether it includes the rows stored before it was created; until rapport warehouse recompute fills it, figures of that time are missing or too small',
    COMMENT COLUMN IF EXISTS filled_at 'When it was last filled completely, or created in a database without stored rows',
    MODIFY COMMENT 'One row per table that is copied or derived from others (table_name): whether it includes the rows stored before it was created';

ALTER TABLE mentoring_mart.program_day {on_cluster}
    COMMENT COLUMN IF EXISTS relationships 'Relationships with a score that day that had not ended; health, bands and risk use their last scores of the day',
    COMMENT COLUMN IF EXISTS sessions 'Sessions held; NULL on days after the programme''s last event, for which no data exists',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included';

ALTER TABLE mentoring_mart.program_week {on_cluster}
    COMMENT COLUMN IF EXISTS relationships 'Relationships with a score that week that had not ended; health, bands and risk use their last scores of the week',
    COMMENT COLUMN IF EXISTS sessions_per_relationship 'Sessions held per relationship of the week',
    COMMENT COLUMN IF EXISTS share_at_risk 'Share of relationships with a risk of 0.70 or more, 0 to 1',
    COMMENT COLUMN IF EXISTS on_track 'Relationships whose coordinator band is on track',
    COMMENT COLUMN IF EXISTS needs_attention 'Relationships whose coordinator band is needs attention',
    COMMENT COLUMN IF EXISTS too_early 'Relationships whose coordinator band is too early to tell',
    COMMENT COLUMN IF EXISTS ended 'Relationships with status ended in the last score of the week',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included';

ALTER TABLE mentoring_mart.programs {on_cluster}
    COMMENT COLUMN IF EXISTS region 'Region of the programme',
    COMMENT COLUMN IF EXISTS time_zone 'Time zone of the programme, IANA name',
    COMMENT COLUMN IF EXISTS cadence_days 'Expected days between sessions, unless the relationship has its own value',
    COMMENT COLUMN IF EXISTS horizon_days 'Risk horizon in days',
    COMMENT COLUMN IF EXISTS recorded_at 'When this description was applied',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per programme with a description';

ALTER TABLE mentoring_mart.rejected_inputs {on_cluster}
    COMMENT COLUMN IF EXISTS origin_topic 'Topic of the original input',
    COMMENT COLUMN IF EXISTS origin_partition 'Partition of the original input',
    COMMENT COLUMN IF EXISTS origin_offset 'Offset of the original input',
    COMMENT COLUMN IF EXISTS part 'Number of the payload within the original input; 0 when it is a single payload',
    COMMENT COLUMN IF EXISTS reason 'Reason code, for example invalid, unresolved, conflict',
    COMMENT COLUMN IF EXISTS path 'Path of the problem in the input; ? replaces field names that Rapport does not know',
    COMMENT COLUMN IF EXISTS tool 'Tool that sent the input; other when Rapport does not know it',
    COMMENT COLUMN IF EXISTS size 'Size of the original input in bytes',
    COMMENT COLUMN IF EXISTS sha256 'SHA-256 of the stored part of the input, hex',
    COMMENT COLUMN IF EXISTS rejected_at 'When the input was rejected',
    COMMENT COLUMN IF EXISTS requeued_at 'When the input was requeued',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per rejected input (origin and part); kept for 30 days';

ALTER TABLE mentoring_mart.relationship_current {on_cluster}
    COMMENT COLUMN IF EXISTS caps 'Conditions that limit the band to strained at best: support_open, fit_not_good',
    COMMENT COLUMN IF EXISTS confidence 'Confidence: how much data the score is based on, 0 to 1',
    COMMENT COLUMN IF EXISTS trend 'Trend of health, points per four weeks',
    COMMENT COLUMN IF EXISTS open_requests 'Unresolved support requests',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per relationship, with its newest score';

ALTER TABLE mentoring_mart.relationship_day {on_cluster}
    COMMENT COLUMN IF EXISTS health_min 'Lowest health of the day',
    COMMENT COLUMN IF EXISTS health_max 'Highest health of the day',
    COMMENT COLUMN IF EXISTS risk_max 'Highest risk of the day',
    COMMENT COLUMN IF EXISTS events 'Events of the day, without retracted ones',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included';

ALTER TABLE mentoring_mart.relationship_month {on_cluster}
    COMMENT COLUMN IF EXISTS days_scored 'Days with a score; health and risk use the last score of each day',
    COMMENT COLUMN IF EXISTS days_standing 'Days with a score on which the relationship had not ended',
    COMMENT COLUMN IF EXISTS days_at_risk 'Days with a score whose risk was 0.70 or more',
    COMMENT COLUMN IF EXISTS health_mean 'Mean health over the days with a score',
    COMMENT COLUMN IF EXISTS health_sum 'Sum of health over the days with a score; divide by days_scored for means over several months',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included';

ALTER TABLE mentoring_mart.relationship_people {on_cluster}
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included';

ALTER TABLE mentoring_mart.relationships {on_cluster}
    COMMENT COLUMN IF EXISTS declared 'Whether a start was declared; otherwise the relationship is known only from its events',
    COMMENT COLUMN IF EXISTS mentors 'Number of mentors; relationship_people lists them',
    COMMENT COLUMN IF EXISTS mentees 'Number of mentees',
    COMMENT COLUMN IF EXISTS planned_end 'Planned end',
    COMMENT COLUMN IF EXISTS days_to_first_session 'Days from the declared start to the first held session',
    COMMENT COLUMN IF EXISTS events 'Events, without retracted ones',
    COMMENT COLUMN IF EXISTS smart_goals 'Goals set with an assessment against the SMART criteria',
    COMMENT COLUMN IF EXISTS smart_criteria 'Number of SMART criteria (five per goal) that these goals meet in total',
    COMMENT COLUMN IF EXISTS end_reason 'Reason code of the end',
    COMMENT COLUMN IF EXISTS days_together 'Days from the declared start to the end, or to the last event',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per relationship: its kind, dates, activity, goals and end';

ALTER TABLE mentoring_mart.replies {on_cluster}
    COMMENT COLUMN IF EXISTS answered_at 'When the reply was sent',
    COMMENT COLUMN IF EXISTS event_id 'Event id of the reply',
    COMMENT COLUMN IF EXISTS asked_at 'When the answered message was sent',
    COMMENT COLUMN IF EXISTS side 'Who replied: mentor, mentee, admin, system',
    COMMENT COLUMN IF EXISTS hours 'Hours from the message to the reply, to the whole second',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per reply (event_id and answered_at) and message that it answers (asked_at), without retracted messages';

ALTER TABLE mentoring_mart.risk_cases {on_cluster}
    COMMENT COLUMN IF EXISTS day 'Sampled UTC day (every fourteenth since 1970) on which the relationship was active',
    COMMENT COLUMN IF EXISTS next_contact 'First later day with a session or a message',
    COMMENT COLUMN IF EXISTS known_until 'Last day with scores or events of the relationship; only cases whose horizon ends by this day are conclusive',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per relationship and sampled day, with the predicted risk and the next contact afterwards';

ALTER TABLE mentoring_mart.rule_precision {on_cluster}
    COMMENT COLUMN IF EXISTS rule 'Rule that raised the alerts',
    COMMENT COLUMN IF EXISTS withdrawn 'Episodes that were withdrawn because the events they were based on were corrected',
    COMMENT COLUMN IF EXISTS told 'Alerts that people were notified of',
    COMMENT COLUMN IF EXISTS acknowledged 'Alerts that somebody acknowledged or snoozed',
    COMMENT COLUMN IF EXISTS median_minutes_to_acknowledge 'Median minutes from the decision to the first acknowledgement or snooze',
    COMMENT COLUMN IF EXISTS useful 'Alerts whose last vote is useful',
    COMMENT COLUMN IF EXISTS not_useful 'Alerts whose last vote is not_useful',
    COMMENT COLUMN IF EXISTS precision_by_votes 'Share of useful among all voted alerts, 0 to 1; NULL without votes',
    COMMENT COLUMN IF EXISTS outcomes 'Alerts of relationships whose outcome within the horizon is known',
    COMMENT COLUMN IF EXISTS came_true 'Of these outcomes, those where the relationship ended unplanned, or had neither session nor message',
    COMMENT COLUMN IF EXISTS precision_by_outcome 'Share of came_true among outcomes, 0 to 1; a lower bound where people act on alerts',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per programme and rule: number of alerts, time to acknowledgement, and precision';

ALTER TABLE mentoring_mart.score_factors {on_cluster}
    COMMENT COLUMN IF EXISTS factor 'Factor of health; or silence, which is deducted from all factors',
    COMMENT COLUMN IF EXISTS points 'Contribution in points; the contributions of one instant sum to health',
    COMMENT COLUMN IF EXISTS change 'Change of the contribution since the previous score',
    COMMENT COLUMN IF EXISTS value 'Value of the factor, 0 to 1',
    COMMENT COLUMN IF EXISTS weight 'Weight of the factor in the profile',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per relationship, scored instant (as_of) and factor, as known now';

ALTER TABLE mentoring_mart.score_versions {on_cluster}
    COMMENT COLUMN IF EXISTS version 'Version number; increases with every version of this instant',
    COMMENT COLUMN IF EXISTS known_from 'When this version became known: when the newest event it is based on was recorded, but not before as_of',
    COMMENT COLUMN IF EXISTS known_to 'When a newer version replaced it; NULL while it is current',
    COMMENT COLUMN IF EXISTS emitted_at 'When scoring wrote it to the log, wall-clock time; NULL when only score_history has this version',
    COMMENT COLUMN IF EXISTS mode 'Process that computed it: live, heal, replay',
    COMMENT COLUMN IF EXISTS confidence 'Confidence: how much data the score is based on, 0 to 1',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per relationship, scored instant (as_of) and version, with the period in which this version was the known score';

ALTER TABLE mentoring_mart.scores {on_cluster}
    COMMENT COLUMN IF EXISTS local_day 'Day in the programme''s time zone; UTC if the programme has no description',
    COMMENT COLUMN IF EXISTS causes 'Causes of the score at this instant, separated by commas',
    COMMENT COLUMN IF EXISTS caps 'Conditions that limit the band to strained at best: support_open, fit_not_good',
    COMMENT COLUMN IF EXISTS health_before 'Health in the previous score',
    COMMENT COLUMN IF EXISTS band_before 'Band in the previous score',
    COMMENT COLUMN IF EXISTS risk_before 'Risk in the previous score',
    COMMENT COLUMN IF EXISTS confidence 'Confidence: how much data the score is based on, 0 to 1',
    COMMENT COLUMN IF EXISTS trend 'Trend of health, points per four weeks',
    COMMENT COLUMN IF EXISTS open_requests 'Unresolved support requests',
    COMMENT COLUMN IF EXISTS trigger_type 'Type of the event that triggered the score; NULL when only time had passed',
    COMMENT COLUMN IF EXISTS trigger_id 'Id of the event that triggered the score',
    COMMENT COLUMN IF EXISTS recorded_at 'When the trigger of the score was recorded; as_of when only time had passed',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per relationship and scored instant (as_of), as known now';

ALTER TABLE mentoring_mart.sources {on_cluster}
    COMMENT COLUMN IF EXISTS source 'Name of the feed',
    COMMENT COLUMN IF EXISTS events 'Number of events from this feed',
    COMMENT COLUMN IF EXISTS first_event_at 'First event, by occurred_at',
    COMMENT COLUMN IF EXISTS last_event_at 'Last event, by occurred_at',
    COMMENT COLUMN IF EXISTS last_recorded_at 'When its latest event was recorded',
    COMMENT COLUMN IF EXISTS median_delay_seconds 'Median seconds from occurred_at to recorded_at',
    COMMENT COLUMN IF EXISTS p95_delay_seconds '95th percentile of seconds from occurred_at to recorded_at',
    COMMENT COLUMN IF EXISTS expected_hours 'Expected hours between its events; NULL when not configured',
    COMMENT COLUMN IF EXISTS silent_hours 'Hours from its last recorded event to the last recorded event of any feed of the programme',
    COMMENT COLUMN IF EXISTS changed_at 'When this row last changed in the warehouse, recomputations included',
    MODIFY COMMENT 'One row per programme and feed: number of events, delays, and time since the last event';
