-- Seconds of each stay in a state that has ended; the label is the state.
select i.conversation_sid as subject, o.service, i.state as label, i.seconds as value
from (select conversation_sid, state, seconds from state_intervals where left_at is not null) i
join (select substr(stream, 14) as sid, chat_service_sid as service from events where type = 'conversation.created.v1') o
on o.sid = i.conversation_sid
