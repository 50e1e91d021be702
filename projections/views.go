package projections

// views show the tables as analysts want them: parents by SID, instants as
// ISO 8601 text in UTC.
const views = `
CREATE VIEW conversation_view AS SELECT
  sid, account_sid, chat_service_sid, messaging_service_sid, friendly_name, unique_name, attributes, state,
  inactive_timer, closed_timer,
  strftime('%Y-%m-%dT%H:%M:%fZ', last_activity_at / 1000.0, 'unixepoch') AS last_activity_at,
  created_by, predecessor_sid, successor_sid, last_message_index,
  strftime('%Y-%m-%dT%H:%M:%fZ', date_created / 1000.0, 'unixepoch') AS date_created,
  strftime('%Y-%m-%dT%H:%M:%fZ', date_updated / 1000.0, 'unixepoch') AS date_updated,
  last_revision, position
FROM conversation;

CREATE VIEW participant_view AS SELECT
  sid, account_sid, chat_service_sid, conversation_sid, identity, user_sid, role_sid, attributes,
  binding_type, address, proxy_address, projected_address, binding_level, binding_name,
  last_read_message_index,
  strftime('%Y-%m-%dT%H:%M:%fZ', last_read_timestamp / 1000.0, 'unixepoch') AS last_read_timestamp,
  notification_level,
  strftime('%Y-%m-%dT%H:%M:%fZ', date_created / 1000.0, 'unixepoch') AS date_created,
  strftime('%Y-%m-%dT%H:%M:%fZ', date_updated / 1000.0, 'unixepoch') AS date_updated
FROM participant;

CREATE VIEW message_view AS SELECT
  m.sid, c.account_sid, c.chat_service_sid, c.sid AS conversation_sid, m.message_index, m.author,
  m.participant_sid, m.body, m.media, m.attributes, m.subject, m.content_sid, m.content_variables, m.recipients,
  strftime('%Y-%m-%dT%H:%M:%fZ', m.date_created / 1000.0, 'unixepoch') AS date_created,
  strftime('%Y-%m-%dT%H:%M:%fZ', m.date_updated / 1000.0, 'unixepoch') AS date_updated
FROM message m JOIN conversation c ON c.id = m.conversation;

CREATE VIEW receipt_view AS SELECT
  r.sid, c.account_sid, c.chat_service_sid, c.sid AS conversation_sid, m.sid AS message_sid,
  r.participant_sid, r.channel_message_sid, r.status, r.error_code,
  strftime('%Y-%m-%dT%H:%M:%fZ', r.date_created / 1000.0, 'unixepoch') AS date_created,
  strftime('%Y-%m-%dT%H:%M:%fZ', r.date_updated / 1000.0, 'unixepoch') AS date_updated
FROM receipt r JOIN message m ON m.id = r.message JOIN conversation c ON c.id = m.conversation;
`
