package channels

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/media"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/reactor"
)

// What the jobs of the inbound queue are.
const (
	whatMessage = "inbound"
	whatStatus  = "status"
)

// reference is what a gateway's message id stands for.
type reference struct {
	Account      string      `json:"account"` // of the conversation, whichever the adapter has
	Conversation string      `json:"conversation"`
	Message      string      `json:"message"`
	Recipients   []recipient `json:"recipients,omitempty"`
}

// recording is a status to be recorded: of a message that is known, or of one that is
// named by the gateway's id.
type recording struct {
	Ref    reference      `json:"reference,omitzero"`
	To     string         `json:"to,omitempty"` // MB… or an address; empty: the only recipient
	ID     string         `json:"id,omitempty"` // the gateway's
	Status carrier.Status `json:"status"`
}

func linkKey(a Adapter, id string) string { return a.Name + "/" + id }

// job is the recording's. The same status of the same copy is one job.
func (r recording) job(a Adapter) (reactor.Job, error) {
	data, err := json.Marshal(r)
	about := r.Ref.Conversation
	which := strings.Join([]string{a.Name, about, r.Ref.Message, r.ID, r.To}, "/")
	return reactor.Job{
		Key: fmt.Sprintf("status %s %s %d", which, r.Status.Status, r.Status.ErrorCode), Target: a.Name, Order: which,
		About: about, What: whatStatus, Data: data,
	}, err
}

// Limits of what carriers hand over.
const (
	maxID      = 255
	maxAddress = 256
	maxParties = 20
	maxMedia   = 10
)

// arrival is the job of a report. What cannot be one is *carrier.Malformed.
func arrival(a Adapter, r carrier.Report) (reactor.Job, error) {
	switch {
	case r.Inbound != nil:
		return inboundJob(a, *r.Inbound)
	case r.Status != nil:
		s := *r.Status
		s.ID, s.To, s.At = domain.WithoutNUL(s.ID), domain.WithoutNUL(s.To), dated(s.At)
		if !domain.ValidText(s.ID + s.To) {
			return reactor.Job{}, &carrier.Malformed{Reason: "the id or the recipient is not UTF-8"}
		}
		if s.ID == "" || len(s.ID) > maxID || len(s.To) > maxAddress {
			return reactor.Job{}, &carrier.Malformed{Reason: "a status names a message of at most 255 bytes"}
		}
		return recording{ID: s.ID, To: s.To, Status: s}.job(a)
	}
	return reactor.Job{}, &carrier.Malformed{Reason: "the report is empty"}
}

// What a carrier hands over is taken without its NULs: it would hand the same over again
// and again if it were refused.

// dated is a carrier's time; one that is no date is none, and the message came now.
func dated(at time.Time) time.Time {
	if domain.DateFault(at) != "" {
		return time.Time{}
	}
	return at
}

// taken is a message as it is kept.
func taken(m carrier.Inbound) carrier.Inbound {
	m.ID, m.From, m.Body, m.At = domain.WithoutNUL(m.ID), domain.WithoutNUL(m.From), domain.CarriedText(m.Body), dated(m.At)
	m.To = slices.Clone(m.To)
	for i := range m.To {
		m.To[i] = domain.WithoutNUL(m.To[i])
	}
	m.Media = slices.Clone(m.Media)
	for i, file := range m.Media {
		m.Media[i].URL, m.Media[i].ContentType = domain.CarriedText(file.URL), domain.CarriedText(file.ContentType)
	}
	return m
}

func inboundJob(a Adapter, given carrier.Inbound) (reactor.Job, error) {
	m := taken(given)
	parties := append([]string{m.From}, m.To...)
	switch {
	case !domain.ValidText(m.ID + strings.Join(parties, "")):
		return reactor.Job{}, &carrier.Malformed{Reason: "the id or an address is not UTF-8"}
	case m.ID == "" || len(m.ID) > maxID:
		return reactor.Job{}, &carrier.Malformed{Reason: "a message has an id of at most 255 bytes"}
	case len(m.To) == 0 || len(parties) > maxParties || len(m.Media) > maxMedia:
		return reactor.Job{}, &carrier.Malformed{Reason: fmt.Sprintf("a message has 1 to %d recipients and at most %d files", maxParties-1, maxMedia)}
	}
	for _, address := range parties {
		if address == "" || len(address) > maxAddress {
			return reactor.Job{}, &carrier.Malformed{Reason: "an address has 1 to 256 bytes"}
		}
	}
	data, err := json.Marshal(m)
	return reactor.Job{
		Key: "inbound " + linkKey(a, m.ID), Target: a.Name, Order: "inbound " + strings.Join(parties, "|"),
		About: m.From, What: whatMessage, Data: data,
	}, err
}

// receive attempts what a carrier handed over.
func (v *Channels) receive(ctx context.Context, w reactor.Work) (reactor.Note, error) {
	a, known := v.adapters[w.Target]
	if !known {
		return reactor.Note{}, &reactor.Stop{Reason: fmt.Errorf("%w: %.64q", ErrUnknownAdapter, w.Target)}
	}
	if w.What == whatStatus {
		var r recording
		if err := json.Unmarshal(w.Data, &r); err != nil {
			return reactor.Note{}, &reactor.Stop{Reason: err}
		}
		return v.record(ctx, a, w.Key, r)
	}
	var m carrier.Inbound
	if err := json.Unmarshal(w.Data, &m); err != nil {
		return reactor.Note{}, &reactor.Stop{Reason: err}
	}
	return v.deliver(ctx, a, m)
}

// errNotKnown is said of statuses that come before the message was noted as sent, or
// of messages that never were.
var errNotKnown = errors.New("no message with this id was sent")

// record records a status (reference 4.5).
func (v *Channels) record(ctx context.Context, a Adapter, key string, r recording) (reactor.Note, error) {
	if r.Ref.Conversation == "" {
		found, err := v.find(ctx, linkKey(a, r.ID))
		if err != nil {
			return reactor.Note{}, err
		}
		if found == "" {
			return reactor.Note{}, errNotKnown
		}
		if err := json.Unmarshal([]byte(found), &r.Ref); err != nil {
			return reactor.Note{}, &reactor.Stop{Reason: err}
		}
	}
	to, err := r.recipient()
	if err != nil {
		return reactor.Note{}, &reactor.Stop{Reason: err}
	}
	c := v.command(a, key, r.Ref.Conversation, "", r.Status.At, conversation.RecordDelivery{
		Message: r.Ref.Message, Participant: to, ChannelMessage: r.ID, Status: r.Status.Status, ErrorCode: r.Status.ErrorCode,
	})
	c.Account = r.Ref.Account
	_, err = v.Engine.Execute(ctx, c)
	return reactor.Note{Text: r.Status.Status}, refused(err)
}

// recipient is whose copy the status is about.
func (r recording) recipient() (string, error) {
	if r.To == "" && len(r.Ref.Recipients) == 1 {
		return r.Ref.Recipients[0].Participant, nil
	}
	for _, known := range r.Ref.Recipients {
		if known.Address == r.To {
			return known.Participant, nil
		}
	}
	if r.To == "" {
		return "", errors.New("the status does not say which recipient it is about")
	}
	return r.To, nil
}

// deliver finds where a message from outside belongs and adds it (reference 9.1). If that
// has closed, an attempt that was cut off, or another node, may have added it before; it
// is asked first.
func (v *Channels) deliver(ctx context.Context, a Adapter, m carrier.Inbound) (reactor.Note, error) {
	route, err := v.route(ctx, a, m)
	if err != nil {
		return reactor.Note{}, err
	}
	if !route.Open && route.Conversation != "" {
		if before, err := v.addedBefore(ctx, a, m, route); err != nil || before {
			return reactor.Note{Text: "was added to " + route.Conversation}, err
		}
	}
	if !route.Open {
		var note reactor.Note
		if route, note, err = v.autocreate(ctx, a, m, route); err != nil || !route.Open {
			return note, err
		}
	}
	return v.finishAndAdd(ctx, a, m, route)
}

// addedBefore reports whether a conversation that is closed has the message. The same
// command, whatever it says now, is recognised; a new one is refused.
func (v *Channels) addedBefore(ctx context.Context, a Adapter, m carrier.Inbound, r engine.Route) (bool, error) {
	_, err := v.Engine.Execute(ctx, v.command(a, "message "+m.ID, r.Conversation, r.Service, m.At, conversation.AddMessage{Author: m.From, Body: m.Body}))
	switch f := failure(err); {
	case f == nil:
		return err == nil, err
	case f.Kind == engine.KindIdempotencyConflict:
		return true, nil
	case f.Code == "conversation_closed" || f.Code == "conversation_not_found":
		return false, nil
	}
	return false, refused(err)
}

// finishAndAdd does the rest of beginning a conversation, if this message or an attempt
// that was cut off began it, and adds the message.
func (v *Channels) finishAndAdd(ctx context.Context, a Adapter, m carrier.Inbound, r engine.Route) (reactor.Note, error) {
	first := r.Conversation == begun(a, m, r.Predecessor)
	if first {
		if err := v.finish(ctx, a, m, r); err != nil {
			return reactor.Note{}, err
		}
	}
	return v.add(ctx, a, m, r.Conversation, r.Service, !first)
}

// add adds the message. Only one to a conversation that was there is shown to webhooks
// before (reference 9.2).
func (v *Channels) add(ctx context.Context, a Adapter, m carrier.Inbound, sid, service string, ask bool) (reactor.Note, error) {
	files, attributes, err := v.files(ctx, a, m, service)
	if err != nil {
		return reactor.Note{}, err
	}
	command := v.command(a, "message "+m.ID, sid, service, m.At, conversation.AddMessage{
		Author: m.From, Body: m.Body, Media: files, Attributes: attributes,
	})
	if ask && v.Before != nil {
		if command, err = v.Before(ctx, command, nil); err != nil {
			return vetoed(err)
		}
	}
	outcome, err := v.Engine.Execute(ctx, command)
	switch f := failure(err); {
	case f == nil:
	case f.Kind == engine.KindIdempotencyConflict: // a webhook, or a file's server, answers otherwise than when it was added
		return reactor.Note{Text: "was added to " + sid}, nil
	case f.Code == "conversation_closed":
		return reactor.Note{}, &reactor.Later{After: time.Millisecond, Reason: err} // just now: it begins another one
	}
	return reactor.Note{Text: outcome.Sid + " in " + sid}, refused(err)
}

// vetoed drops a message that a webhook refused (reference 9.2).
func vetoed(err error) (reactor.Note, error) {
	if f := failure(err); f != nil && f.Twilio == codeVetoed {
		return reactor.Note{Text: "dropped: a webhook refused it"}, nil
	}
	return reactor.Note{}, refused(err)
}

// codeVetoed is Twilio's code for what a webhook refused (reference 8.5).
const codeVetoed = 50056

// files makes the carrier's files ours. One that cannot be had is named in the message's
// attributes.
func (v *Channels) files(ctx context.Context, a Adapter, m carrier.Inbound, service string) (files []events.Media, attributes string, err error) {
	var lost []carrier.Media
	for i, source := range m.Media {
		sid, err := v.fetch(ctx, a, fmt.Sprintf("media %s %d", m.ID, i), service, source, m.From)
		var no *carrier.Refused
		switch {
		case errors.As(err, &no):
			lost = append(lost, source)
		case err != nil:
			return nil, "", fmt.Errorf("file %d: %w", i+1, err)
		default:
			files = append(files, events.Media{Media: sid})
		}
	}
	if len(lost) == 0 {
		return files, "", nil
	}
	links, err := json.Marshal(map[string][]carrier.Media{"media": lost})
	return files, string(links), err
}

// fetch makes one file the service's.
func (v *Channels) fetch(ctx context.Context, a Adapter, id, service string, source carrier.Media, author string) (string, error) {
	if v.Keep == nil {
		return "", &carrier.Refused{Reason: "files are not fetched"}
	}
	file, hash, err := v.Keep(ctx, source)
	if err != nil {
		return "", err
	}
	outcome, err := v.Engine.Execute(ctx, v.command(a, id, "", service, v.Now(), media.Create{
		ContentType: file.ContentType, Filename: file.Filename, Size: file.Size, SHA256: hash, Author: author,
	}))
	return outcome.Sid, refused(err)
}
