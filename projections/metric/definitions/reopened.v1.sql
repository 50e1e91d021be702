-- How often a conversation became active again after it was inactive; the mean over all is the rate.
select substr(o.stream, 14) as subject, o.chat_service_sid as service, '' as label,
  cast(count(s.position) as real) as value
from (select stream, chat_service_sid from events where type = 'conversation.created.v1') o
left join (
  select stream, position from events
  where type = 'conversation.state-changed.v1' and json_extract(data, '$.from') = 'inactive' and json_extract(data, '$.to') = 'active'
) s on s.stream = o.stream
group by o.stream
