-- One for each delivery receipt; the label is the channel and how it stands in the end.
select r.receipt as subject, r.service, coalesce(p.channel, 'chat') || ' ' || r.status as label, 1.0 as value
from (
  select stream, chat_service_sid as service, json_extract(data, '$.receipt') as receipt, json_extract(data, '$.participant') as participant,
    json_extract(data, '$.status') as status, max(position)
  from events where type = 'conversation.delivery-updated.v1' group by stream, receipt
) r left join (
  select stream, json_extract(data, '$.participant') as participant, coalesce(json_extract(data, '$.binding.type'),
    case when json_extract(data, '$.address') like 'whatsapp:%' then 'whatsapp' when json_extract(data, '$.address') <> '' then 'sms' end) as channel
  from events where type in ('conversation.participant-added.v1', 'conversation.participant-added.v2')
) p on p.stream = r.stream and p.participant = r.participant
