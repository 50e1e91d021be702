-- Seconds from the first message since a conversation was created or became active again to the first one of another author; the label counts these stays from 1.
select substr(q.stream, 14) as subject, q.service, cast(q.stay as text) as label, round((min(r.at) - q.at) * 86400, 3) as value
from (
  select stream, service, stay, author, at, min(position) as position
  from (
    select stream, chat_service_sid as service, type, position, json_extract(data, '$.author') as author,
      julianday(json_extract(data, '$.at')) as at,
      sum(type = 'conversation.created.v1' or type = 'conversation.state-changed.v1' and json_extract(data, '$.to') = 'active')
        over (partition by stream order by position) as stay
    from events where type in ('conversation.created.v1', 'conversation.state-changed.v1', 'conversation.message-added.v1')
  ) where type = 'conversation.message-added.v1' group by stream, stay
) q join (
  select stream, stay, position, author, at
  from (
    select stream, type, position, json_extract(data, '$.author') as author, julianday(json_extract(data, '$.at')) as at,
      sum(type = 'conversation.created.v1' or type = 'conversation.state-changed.v1' and json_extract(data, '$.to') = 'active')
        over (partition by stream order by position) as stay
    from events where type in ('conversation.created.v1', 'conversation.state-changed.v1', 'conversation.message-added.v1')
  ) where type = 'conversation.message-added.v1'
) r on r.stream = q.stream and r.stay = q.stay and r.position > q.position and r.author <> q.author
group by q.stream, q.stay
