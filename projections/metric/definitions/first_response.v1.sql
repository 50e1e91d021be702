-- Seconds from the first message of a conversation to the first one of another author.
select substr(q.stream, 14) as subject, q.service, '' as label, round((min(r.at) - q.at) * 86400, 3) as value
from (
  select stream, chat_service_sid as service, json_extract(data, '$.author') as author,
    julianday(json_extract(data, '$.at')) as at, min(position) as position
  from events where type = 'conversation.message-added.v1' group by stream
) q join (
  select stream, position, json_extract(data, '$.author') as author, julianday(json_extract(data, '$.at')) as at
  from events where type = 'conversation.message-added.v1'
) r on r.stream = q.stream and r.position > q.position and r.author <> q.author
group by q.stream
