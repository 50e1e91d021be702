-- One for each change of a delivery receipt; the label is the day, the channel and the status that it changed to.
select substr(d.stream, 14) || ' ' || d.position as subject, d.service,
  substr(d.at, 1, 10) || ' ' || coalesce(p.channel, 'chat') || ' ' || d.status as label, 1.0 as value
from (
  select stream, position, chat_service_sid as service, json_extract(data, '$.participant') as participant,
    json_extract(data, '$.status') as status, json_extract(data, '$.at') as at
  from events where type = 'conversation.delivery-updated.v1'
) d left join (
  select stream, json_extract(data, '$.participant') as participant, coalesce(json_extract(data, '$.binding.type'),
    case when json_extract(data, '$.address') like 'whatsapp:%' then 'whatsapp' when json_extract(data, '$.address') <> '' then 'sms' end) as channel
  from events where type in ('conversation.participant-added.v1', 'conversation.participant-added.v2')
) p on p.stream = d.stream and p.participant = d.participant
