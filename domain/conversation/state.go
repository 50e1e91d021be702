package conversation

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/parley-engine/parley/events"
)

// State is what decisions about one conversation need to know. The zero State
// is the beginning: nothing was created. It holds no bodies and no attributes,
// only digests of them, so that a hundred thousand messages stay cheap.
//
// Its JSON form is a snapshot. Who changes a field here changes the snapshot's
// shape; older snapshots are then folded anew.
type State struct {
	Conversation     string        `json:"conversation,omitempty"`
	Account          string        `json:"account,omitempty"`
	Service          string        `json:"service,omitempty"`
	FriendlyName     string        `json:"friendly_name,omitempty"`
	UniqueName       string        `json:"unique_name,omitempty"`
	Attributes       Digest        `json:"attributes,omitempty"`
	MessagingService string        `json:"messaging_service,omitempty"`
	Timers           events.Timers `json:"timers,omitzero"`
	Email            events.Email  `json:"email,omitzero"`
	CreatedBy        string        `json:"created_by,omitempty"`
	Predecessor      string        `json:"predecessor,omitempty"`
	Successor        string        `json:"successor,omitempty"`
	DateCreated      time.Time     `json:"date_created,omitzero"`
	DateUpdated      time.Time     `json:"date_updated,omitzero"`

	State string    `json:"state,omitempty"` // one of events.State…; empty before the beginning
	Since time.Time `json:"since,omitzero"`  // the running timer counts from here
	Ended bool      `json:"ended,omitempty"` // the conversation was removed

	Participants map[string]Participant `json:"participants,omitempty"` // by MB…
	Identities   map[string]string      `json:"identities,omitempty"`   // of participants, to MB…
	Former       map[string]Former      `json:"former,omitempty"`       // removed participants by MB…
	Joined       int                    `json:"joined,omitempty"`       // participants ever added
	// CreatorJoined says that CreatedBy takes or took part.
	CreatorJoined bool `json:"creator_joined,omitempty"`
	Bound         int  `json:"bound,omitempty"` // present participants with a binding

	Messages  map[string]Message `json:"messages,omitempty"` // by IM…, removed ones too
	NextIndex int64              `json:"next_index,omitempty"`
	Receipts  int                `json:"receipts,omitempty"` // expected by the messages that are left
	Media     map[string]string  `json:"media,omitempty"`    // by ME…, to the IM… that has or had it

	Webhooks map[string]events.Webhook `json:"webhooks,omitempty"` // by WH…
}

// Participant is one present participant.
type Participant struct {
	Sid         string         `json:"sid"`
	Number      int            `json:"number"` // counts participants in the order they came, from 1
	Identity    string         `json:"identity,omitempty"`
	User        string         `json:"user,omitempty"`
	Binding     events.Binding `json:"binding,omitzero"`
	Role        string         `json:"role,omitempty"`
	Attributes  Digest         `json:"attributes,omitempty"`
	DateCreated time.Time      `json:"date_created"`
	DateUpdated time.Time      `json:"date_updated"`
	LastRead    int64          `json:"last_read"` // index of a message; negative: none
	LastReadAt  time.Time      `json:"last_read_at,omitzero"`
	Level       string         `json:"level,omitempty"` // of notification; empty means default
}

// Former is what is remembered of a removed participant: its SID is not used
// again and late delivery reports still find it.
type Former struct {
	Number  int    `json:"number"`
	Address string `json:"address,omitempty"`
}

// Message is what is remembered of a message.
type Message struct {
	Index      int64     `json:"i"`
	Author     string    `json:"a,omitempty"`
	By         int       `json:"p,omitempty"` // Number of the author's participant; 0: none
	Removed    bool      `json:"x,omitempty"`
	Media      bool      `json:"m,omitempty"` // has media or content, so may do without a body
	Body       Digest    `json:"b,omitempty"`
	Attributes Digest    `json:"t,omitempty"`
	Subject    Digest    `json:"s,omitempty"`
	Created    int64     `json:"c,omitempty"` // DateCreated, microseconds of Unix time
	Edited     int64     `json:"e,omitempty"` // microseconds from DateCreated to DateUpdated
	Receipts   []Receipt `json:"r,omitempty"` // one per recipient
}

// Receipt is how far one recipient's copy has come.
type Receipt struct {
	To     int    `json:"p"`           // Number of the recipient
	Status status `json:"s,omitempty"` // 0: nothing was heard yet
}

// Digest stands for a text that is not kept: equal texts have equal digests. It
// is cut from a cryptographic hash, so nobody can write a text that hides a
// later change of it. The digest of no text and of no attributes is 0.
type Digest uint64

func digest(text string) Digest {
	if text == "" || text == noAttributes {
		return 0
	}
	sum := sha256.Sum256([]byte(text))
	return Digest(binary.BigEndian.Uint64(sum[:]))
}

// Exists reports whether the conversation was created; also true after it was
// removed.
func (s State) Exists() bool { return s.State != "" }

// Removed reports whether the conversation was removed.
func (s State) Removed() bool { return s.Ended }

// Size is the number of entries held, for a cache that weighs what it keeps.
func (s State) Size() int {
	return 1 + len(s.Participants) + len(s.Former) + len(s.Messages) + s.Receipts + len(s.Media) + len(s.Webhooks)
}

// Participant finds a present participant by SID or identity.
func (s State) Participant(ref string) (Participant, bool) {
	if p, ok := s.Participants[ref]; ok {
		return p, true
	}
	p, ok := s.Participants[s.Identities[ref]]
	return p, ok
}

// author finds who writes under a name: an identity, an address or a projected
// address. Of several with one address the first that came is meant.
func (s State) author(name string) (Participant, bool) {
	if sid, ok := s.Identities[name]; ok {
		return s.Participants[sid], true
	}
	var found Participant
	if s.Bound == 0 {
		return found, false
	}
	for _, p := range s.Participants {
		if p.writesAs(name) && (found.Number == 0 || p.Number < found.Number) {
			found = p
		}
	}
	return found, found.Number > 0
}

// bound counts a binding.
func bound(b events.Binding) int {
	if b == (events.Binding{}) {
		return 0
	}
	return 1
}

func (p Participant) writesAs(name string) bool {
	return name != "" && (p.Binding.Address == name || p.Binding.ProjectedAddress == name)
}

// number returns the Number behind a participant's SID, 0 for none.
func (s State) number(sid string) int {
	if p, ok := s.Participants[sid]; ok {
		return p.Number
	}
	return s.Former[sid].Number
}

// inOrder returns the present participants in the order they came.
func (s State) inOrder() []Participant {
	all := make([]Participant, 0, len(s.Participants))
	for _, p := range s.Participants {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Participant) int { return cmp.Compare(a.Number, b.Number) })
	return all
}

// message finds a message that was not removed.
func (s State) message(sid string) (Message, bool) {
	m, ok := s.Messages[sid]
	return m, ok && !m.Removed
}
