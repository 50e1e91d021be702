package conversation

import (
	"cmp"
	"math"
	"time"
)

// Limits are settings with Twilio's values as defaults (reference section 11).
// The zero value of a field means the default.
type Limits struct {
	Participants        int           // per conversation, all kinds
	NonChatParticipants int           // per conversation
	OpenConversations   int           // active or inactive, per identity
	GroupSize           int           // of a native group MMS
	MinInactiveTimer    time.Duration // shortest Inactive timer
	MinClosedTimer      time.Duration // shortest Closed timer
}

// DefaultLimits are Twilio's.
var DefaultLimits = Limits{
	Participants:        1000,
	NonChatParticipants: 50,
	OpenConversations:   1000,
	GroupSize:           10,
	MinInactiveTimer:    time.Minute,
	MinClosedTimer:      10 * time.Minute,
}

// WithDefaults fills what is zero with DefaultLimits.
func (l Limits) WithDefaults() Limits {
	return Limits{
		Participants:        cmp.Or(l.Participants, DefaultLimits.Participants),
		NonChatParticipants: cmp.Or(l.NonChatParticipants, DefaultLimits.NonChatParticipants),
		OpenConversations:   cmp.Or(l.OpenConversations, DefaultLimits.OpenConversations),
		GroupSize:           cmp.Or(l.GroupSize, DefaultLimits.GroupSize),
		MinInactiveTimer:    cmp.Or(l.MinInactiveTimer, DefaultLimits.MinInactiveTimer),
		MinClosedTimer:      cmp.Or(l.MinClosedTimer, DefaultLimits.MinClosedTimer),
	}
}

// limits are those of who asks: history has as many people in it as it has.
func (i Issue) limits() Limits {
	l := i.Limits.WithDefaults()
	if i.Caller.Imports() {
		l.Participants, l.NonChatParticipants, l.OpenConversations = math.MaxInt, math.MaxInt, math.MaxInt
	}
	return l
}

// Sizes that are not settings (reference 4.2 and section 11).
const (
	maxNameChars              = 256      // friendly name, identity, address, author, subject
	maxUniqueNameChars        = 64       //
	maxConversationAttributes = 16 << 10 // bytes
	maxPartAttributes         = 4 << 10  // bytes, of a participant or message
	maxBody                   = 32 << 10 // bytes
	maxMediaCount             = 10
	maxMediaSize              = 150 << 20 // bytes
	maxWebhooks               = 5         // per conversation
	maxTriggers               = 20        // per webhook
	minGroup                  = 3         // members from which a group MMS is one
	maxIndex                  = 1<<53 - 1 // of a message: what every reader of JSON can tell apart
)
