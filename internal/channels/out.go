package channels

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/internal/reactor/past"
)

// sending is a message on its way to one recipient, or to all of a native group.
type sending struct {
	Account      string      `json:"account"`
	Service      string      `json:"service"`
	Conversation string      `json:"conversation"`
	Message      string      `json:"message"`
	Type         string      `json:"type"`
	Recipients   []recipient `json:"recipients"`
	From         string      `json:"from"`
	MG           string      `json:"messaging_service"`
	Body         string      `json:"body,omitempty"`
	Media        []string    `json:"media,omitempty"` // ME…
}

type recipient struct {
	Participant string `json:"participant"`
	Address     string `json:"address"`
}

// fanOut turns an added message into one sending per recipient outside, or into one
// for a native group (reference 9.3). What an import restores was sent long ago.
func (v *Channels) fanOut(ctx context.Context, recorded events.Recorded) ([]reactor.Job, error) {
	if recorded.Type != (events.MessageAdded{}).EventType() || recorded.Metadata.Actor.Kind == events.ActorImport {
		return nil, nil
	}
	decoded, err := events.Vocabulary().Decode(recorded.Type, recorded.Data)
	if err != nil {
		v.Logger.Error("a message cannot be read, and is not sent", "position", recorded.Position, "err", err)
		return []reactor.Job{unreadable(recorded)}, nil
	}
	e, ok := decoded.(events.MessageAdded)
	if !ok || len(e.Recipients) == 0 {
		return nil, nil
	}
	var jobs []reactor.Job
	err = v.past.After(ctx, &recorded, func(c *past.Conversation) error {
		if recorded.Metadata.Actor.Kind == events.ActorChannel && c.IsGroup() {
			return nil // all members have it: it came as one native message
		}
		for _, s := range sendings(c, e) {
			job, err := v.outgoing(s)
			if err != nil {
				return err
			}
			jobs = append(jobs, job)
		}
		return nil
	})
	if errors.Is(err, past.ErrUnreadable) {
		v.Logger.Error("a conversation cannot be read, and its message is not sent", "position", recorded.Position, "err", err)
		return []reactor.Job{unreadable(recorded)}, nil
	}
	return jobs, err
}

// whatUnreadable is a message of a conversation that has events this program cannot
// read.
const whatUnreadable = "unreadable"

// unreadable is its job: it is parked, and holds nobody else up.
func unreadable(recorded events.Recorded) reactor.Job {
	_, sid, _ := events.SplitStream(recorded.Stream)
	return reactor.Job{Key: recorded.ID.String(), Target: nobody, Order: sid, About: sid, What: whatUnreadable, Data: []byte("{}")}
}

var errUnreadable = errors.New("the conversation has events that this program cannot read")

func sendings(c *past.Conversation, e events.MessageAdded) []sending {
	base := sending{Account: c.Account, Service: c.Service, Conversation: c.Conversation, Message: e.Message, MG: c.MessagingService, Body: e.Body}
	for _, m := range e.Media {
		base.Media = append(base.Media, m.Media)
	}
	var list []sending
	group := base
	for _, sid := range e.Recipients {
		p, present := c.Participants[sid]
		if !present {
			continue
		}
		s := base
		s.Type, s.From, s.Recipients = p.Binding.Type, p.Binding.ProxyAddress, []recipient{{sid, p.Binding.Address}}
		if p.Binding.ProxyAddress != "" {
			list = append(list, s)
			continue
		}
		group.Type, group.Recipients = p.Binding.Type, append(group.Recipients, s.Recipients...)
	}
	if len(group.Recipients) > 0 {
		group.From = speaker(c.State, e)
		list = append(list, group)
	}
	return list
}

// speaker is the number that a native group sees a message come from: the author's
// projected address, else the first that somebody speaks as.
func speaker(s conversation.State, e events.MessageAdded) string {
	if p, ok := s.Participants[e.Participant]; ok && p.Binding.ProjectedAddress != "" {
		return p.Binding.ProjectedAddress
	}
	var from string
	number := 0
	for _, p := range s.Participants {
		if p.Binding.ProjectedAddress != "" && (number == 0 || p.Number < number) {
			from, number = p.Binding.ProjectedAddress, p.Number
		}
	}
	return from
}

// outgoing is the job of a sending. Messages to one recipient go in their order.
func (v *Channels) outgoing(s sending) (reactor.Job, error) {
	data, err := json.Marshal(s)
	to := s.Recipients[0].Participant
	return reactor.Job{
		Key: s.Message + ":" + to, Target: v.Routing.adapter(s.MG), Order: s.Conversation + ":" + to,
		About: s.Conversation, What: s.Type, Data: data,
	}, err
}

// send attempts a sending. What the gateway said is put into the queue of what comes
// in, which is durable, before the attempt is noted as done: a crash in between leaves
// an attempt whose end is not known, and never a message that is sent twice by a
// gateway that does not recognise it.
func (v *Channels) send(ctx context.Context, w reactor.Work) (reactor.Note, error) {
	var s sending
	if err := json.Unmarshal(w.Data, &s); err != nil {
		return reactor.Note{}, &reactor.Stop{Reason: fmt.Errorf("read the message: %w", err)}
	}
	if w.What == whatUnreadable {
		return reactor.Note{}, &reactor.Stop{Reason: errUnreadable}
	}
	a, known := v.adapters[w.Target]
	if !known {
		return reactor.Note{}, &reactor.Stop{Reason: fmt.Errorf("%w: %.64q", ErrUnknownAdapter, w.Target)}
	}
	if a.own && a.Account != s.Account {
		return reactor.Note{}, &reactor.Stop{Reason: fmt.Errorf("the adapter carries for %s only", a.Account)}
	}
	switch status, there, err := v.Engine.DeliveryOf(ctx, s.Conversation, s.Message, s.Recipients[0].Participant); {
	case err != nil:
		return reactor.Note{}, err
	case !there:
		return reactor.Note{Text: "not sent: the message is gone"}, nil
	case status != "":
		return reactor.Note{Text: "not sent again: it is " + status}, nil
	case w.Interrupted && !a.Carrier.Idempotent():
		return reactor.Note{}, unknown(carrier.ErrUnknown)
	}
	if err := v.claimed(ctx, a, w.Key); err != nil {
		return reactor.Note{}, err
	}
	s, err := v.stillThere(ctx, a, s)
	if err != nil || len(s.Recipients) == 0 {
		return reactor.Note{Text: "not sent: the recipient was removed"}, err
	}
	m, err := v.message(a, w.Key, s)
	var sent carrier.Sent
	if err == nil {
		sent, err = a.Carrier.Send(ctx, m)
	}
	return v.sent(ctx, a, s, sent, err)
}

// errRemoved is Twilio's code for a message that was not delivered, without a reason of its
// own; there is none for a recipient who was taken out of the conversation.
const errRemoved = 30008

// stillThere takes those out of a sending who are in the conversation no more. Their copies
// have failed. It is asked last of all before the message leaves.
func (v *Channels) stillThere(ctx context.Context, a Adapter, s sending) (sending, error) {
	sids := make([]string, 0, len(s.Recipients))
	for _, r := range s.Recipients {
		sids = append(sids, r.Participant)
	}
	left, err := v.Engine.Left(ctx, s.Conversation, sids)
	if err != nil || len(left) == 0 {
		return s, err
	}
	gone := s
	gone.Recipients = slices.DeleteFunc(slices.Clone(s.Recipients), func(r recipient) bool { return !slices.Contains(left, r.Participant) })
	s.Recipients = slices.DeleteFunc(slices.Clone(s.Recipients), func(r recipient) bool { return slices.Contains(left, r.Participant) })
	return s, v.report(ctx, a, gone, "", carrier.Status{Status: events.DeliveryFailed, ErrorCode: errRemoved})
}

func unknown(err error) error {
	return &reactor.Stop{Reason: fmt.Errorf("unknown whether it was sent; retry sends it again, discard does not: %w", err)}
}

// sent decides what an attempt to send means.
func (v *Channels) sent(ctx context.Context, a Adapter, s sending, sent carrier.Sent, err error) (reactor.Note, error) {
	var no *carrier.Refused
	var later *carrier.Later
	switch {
	case errors.As(err, &no):
		status := carrier.Status{Status: events.DeliveryFailed, ErrorCode: no.Code}
		return reactor.Note{Text: no.Error()}, v.report(ctx, a, s, "", status)
	case errors.As(err, &later):
		return reactor.Note{}, &reactor.Later{After: later.After, Reason: err}
	case errors.Is(err, carrier.ErrUnknown) && !a.Carrier.Idempotent():
		return reactor.Note{}, unknown(err)
	case err != nil:
		return reactor.Note{}, err
	}
	if err := v.report(ctx, a, s, sent.ID, carrier.Status{Status: sent.Status}); err != nil {
		if a.Carrier.Idempotent() {
			return reactor.Note{}, err
		}
		return reactor.Note{}, unknown(err)
	}
	return reactor.Note{Text: fmt.Sprintf("%s %s", sent.Status, sent.ID)}, nil
}

// report has the status of each recipient's copy recorded, and the gateway's id of the
// message, if it has one, found again when the next status comes.
func (v *Channels) report(ctx context.Context, a Adapter, s sending, id string, status carrier.Status) error {
	var jobs []reactor.Job
	for _, r := range s.Recipients {
		job, err := recording{Ref: reference{s.Account, s.Conversation, s.Message, nil}, To: r.Participant, ID: id, Status: status}.job(a)
		if err != nil {
			return err
		}
		jobs = append(jobs, job)
	}
	ref, err := json.Marshal(reference{s.Account, s.Conversation, s.Message, s.Recipients})
	if err != nil || id == "" {
		return errors.Join(err, v.in.Put(nil, jobs...))
	}
	if err := v.in.Put(map[string]string{linkKey(a, id): string(ref)}, jobs...); err != nil {
		return err
	}
	if err := v.keep(ctx, linkKey(a, id), string(ref)); err != nil {
		v.Logger.Warn("other nodes do not know what a gateway calls a message; its statuses wait for this one", "adapter", a.Name, "err", err)
	}
	return nil
}

// Limits of what goes out (reference 4.2).
const (
	maxOutgoing    = 1600  // characters of a body
	errTooLong     = 21617 // Twilio's code for a body beyond that
	errNothing     = 21619 // and for a message without body and media
	errMediaSource = 11200 // and for media that cannot be fetched
)

// message makes what the carrier gets. A recipient outside gets one file, and then no
// text (reference 4.3).
func (v *Channels) message(a Adapter, key string, s sending) (carrier.Outgoing, error) {
	m := carrier.Outgoing{Key: key, Type: s.Type, MessagingService: s.MG, From: s.From, Body: s.Body}
	for _, r := range s.Recipients {
		m.To = append(m.To, r.Address)
	}
	if v.StatusURL != nil {
		m.StatusURL = v.StatusURL(a.Name)
	}
	switch {
	case len(s.Media) > 0 && v.FileURL == nil:
		return m, &carrier.Refused{Code: errMediaSource, Reason: "files have no address outside"}
	case len(s.Media) > 0:
		m.Media, m.Body = []string{v.FileURL(s.Media[0], s.Service)}, ""
	case s.Body == "":
		return m, &carrier.Refused{Code: errNothing, Reason: "the message has neither text nor media"}
	case utf8.RuneCountInString(s.Body) > maxOutgoing:
		return m, &carrier.Refused{Code: errTooLong, Reason: fmt.Sprintf("the text has more than %d characters", maxOutgoing)}
	}
	return m, nil
}
