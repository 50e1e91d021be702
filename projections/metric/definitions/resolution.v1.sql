-- Seconds from the creation of a conversation to its closing; the label is why it closed.
select substr(c.stream, 14) as subject, c.service, c.reason as label, round((c.at - o.at) * 86400, 3) as value
from (
  select stream, chat_service_sid as service, json_extract(data, '$.reason') as reason, julianday(json_extract(data, '$.at')) as at, min(position)
  from events where type = 'conversation.state-changed.v1' and json_extract(data, '$.to') = 'closed' group by stream
) c join (
  select stream, julianday(json_extract(data, '$.at')) as at from events where type = 'conversation.created.v1'
) o on o.stream = c.stream
