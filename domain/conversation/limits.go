package conversation

import "time"

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
