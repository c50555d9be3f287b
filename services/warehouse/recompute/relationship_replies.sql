-- Recomputes the answers to messages in those given relationships in which a message or a retraction was stored since
-- an instant (microseconds of the server clock). From the beginning of time, relationships with earlier answers are
-- included.
INSERT INTO mentoring.relationship_replies
    (tenant_id, program_id, relationship_id, answered, answers, asked, sides, version, is_deleted)
WITH
    given AS
    (
        SELECT key.1 AS tenant_id, key.2 AS program_id, key.3 AS relationship_id
        FROM (SELECT arrayJoin(%(relationships)s) AS key)
    ),
    touched AS
    (
        SELECT DISTINCT tenant_id, program_id, relationship_id
        FROM mentoring.events
        WHERE type IN ('mentoring.message.sent.v1', 'mentoring.event.retracted.v1')
            AND inserted_at >= fromUnixTimestamp64Micro(toInt64(%(since)s), 'UTC')
            AND (tenant_id, program_id, relationship_id) IN (SELECT tenant_id, program_id, relationship_id FROM given)

        UNION DISTINCT

        SELECT tenant_id, program_id, relationship_id
        FROM mentoring.relationship_replies
        WHERE %(since)s = 0
            AND (tenant_id, program_id, relationship_id) IN (SELECT tenant_id, program_id, relationship_id FROM given)
    ),
    -- A message is identified by source and id: its answers refer to it and are joined here.
    found AS
    (
        SELECT
            tenant_id, program_id, relationship_id,
            arraySort(groupArray((answer.1, answer.2, asked_at, answer.3))) AS replies
        FROM
        (
            SELECT
                tenant_id, program_id, relationship_id, groupArrayIf(occurred_at, NOT told.1) AS messages,
                groupArrayIf((occurred_at, event_id, toString(actor)), told.1) AS answers_to_it
            FROM
            (
                SELECT
                    tenant_id, program_id, relationship_id, source, actor, occurred_at, event_id, id,
                    JSONExtractString(payload, 'reply_to') AS reply_to
                FROM mentoring.standing_events
                WHERE type = 'mentoring.message.sent.v1'
                    AND (tenant_id, program_id, relationship_id) IN
                        (SELECT tenant_id, program_id, relationship_id FROM touched)
            )
            ARRAY JOIN if(reply_to = '', [(false, id)], [(false, id), (true, reply_to)]) AS told
            GROUP BY tenant_id, program_id, relationship_id, source, told.2
            HAVING notEmpty(messages) AND notEmpty(answers_to_it)
        )
        ARRAY JOIN answers_to_it AS answer
        ARRAY JOIN messages AS asked_at
        GROUP BY tenant_id, program_id, relationship_id
    )
SELECT
    tenant_id, program_id, relationship_id, replies.1, replies.2, replies.3, replies.4, %(version)s AS version,
    empty(replies) AS is_deleted
FROM touched
LEFT JOIN found USING (tenant_id, program_id, relationship_id)
SETTINGS join_use_nulls = 0
