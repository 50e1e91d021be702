package projections

// sqlViews are what analysts ask of the read models. Instants are ISO 8601 text in UTC,
// lengths of time are seconds.
const sqlViews = `
CREATE TEMP VIEW conversations AS SELECT * FROM main.conversation_view;
CREATE TEMP VIEW messages AS SELECT * FROM main.message_view;
CREATE TEMP VIEW participants AS SELECT * FROM main.participant_view;
CREATE TEMP VIEW receipts AS SELECT * FROM main.receipt_view;
CREATE TEMP VIEW timers AS SELECT
  conversation_sid, account_sid, chat_service_sid, from_state, to_state,
  strftime('%Y-%m-%dT%H:%M:%fZ', due / 1000.0, 'unixepoch') AS due
FROM (
  SELECT sid AS conversation_sid, account_sid, chat_service_sid, state AS from_state,
    CASE WHEN state = 'active' AND inactive_after > 0 THEN 'inactive' ELSE 'closed' END AS to_state,
    timer_since + CASE WHEN state = 'active' AND inactive_after > 0 THEN inactive_after ELSE closed_after END AS due
  FROM main.conversation
  WHERE state = 'active' AND (inactive_after > 0 OR closed_after > 0) OR state = 'inactive' AND closed_after > 0
);
`

// logViews are what they ask of the log, whose format docs/log-format.md has. They have
// no WITH: what it names would be read without saying for which view.
const logViews = `
CREATE TEMP VIEW events AS SELECT
  position, stream, revision, type,
  strftime('%Y-%m-%dT%H:%M:%fZ', recorded / 1e9, 'unixepoch') AS recorded_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', coalesce(json_extract(metadata, '$.occurred'), datetime(recorded / 1e9, 'unixepoch', 'subsec'))) AS occurred_at,
  json_extract(metadata, '$.account') AS account_sid,
  json_extract(metadata, '$.service') AS chat_service_sid,
  json_extract(metadata, '$.actor_kind') AS actor_kind,
  json_extract(metadata, '$.actor_id') AS actor_id,
  json_extract(metadata, '$.command') AS command,
  json_extract(metadata, '$.command_id') AS command_id,
  json_extract(metadata, '$."$correlationId"') AS correlation_id,
  json_extract(metadata, '$."$causationId"') AS causation_id,
  lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-' ||
    substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)) AS event_id,
  data
FROM log.events;
CREATE TEMP VIEW state_intervals AS
SELECT conversation_sid, state, reason, text AS entered_at, left_at, round((until - at) * 86400, 3) AS seconds
FROM (
  SELECT *, lead(text) OVER next AS left_at, lead(at) OVER next AS until
  FROM (
    SELECT substr(stream, length('conversation-') + 1) AS conversation_sid, position, type,
      coalesce(json_extract(data, '$.to'), json_extract(data, '$.state')) AS state,
      coalesce(json_extract(data, '$.reason'), '') AS reason,
      julianday(json_extract(data, '$.at')) AS at,
      strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(data, '$.at')) AS text
    FROM log.events
    WHERE type IN ('conversation.created.v1', 'conversation.removed.v1')
      OR type = 'conversation.state-changed.v1' AND json_extract(data, '$.from') <> json_extract(data, '$.to')
  ) WINDOW next AS (PARTITION BY conversation_sid ORDER BY position)
)
WHERE type <> 'conversation.removed.v1';
`
