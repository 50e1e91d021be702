// Package reservation keeps values unique across streams: a unique name per
// service, an identity per service, an address pair per account. Each value has
// a stream of its own, named by the value's hash, whose last claim names the
// holder. Whether the holder still holds the value is for the holder's own
// stream to say; a claimant who found that it does not takes over.
package reservation

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/parley-engine/parley/events"
)

// Kinds of reserved values.
const (
	UniqueName  = "unique-name"  // of a conversation, per service
	Identity    = "identity"     // of a user, per service
	AddressPair = "address-pair" // address and proxy of a participant, per account
	Group       = "group"        // the set of numbers of a group MMS, per account
	Address     = "address"      // of an address configuration, per account
	Media       = "media"        // an uploaded file, per service
)

// ID returns the id of the reservation of a value within a scope. The value is
// only hashed: reservations hold no personal data.
func ID(kind, scope, value string) string {
	sum := sha256.Sum256([]byte(scope + "\x00" + value))
	return kind + ":" + hex.EncodeToString(sum[:16])
}

// State is who was the last to claim the value. The zero State is unclaimed.
type State struct {
	Kind   string
	Holder string // stream
	Ref    string // SID of the part that holds the value
	Claims int    // how many there have been
}

// Claim names a holder.
type Claim struct {
	Kind   string
	Holder string
	Ref    string
	At     time.Time
}

// Decide accepts every claim: that the former holder has let go was found out
// before, and the expected revision keeps it true. A claim by the present holder
// is an event too, because it ends what rivals have found out until then.
func Decide(_ State, c Claim) ([]events.Event, error) {
	return []events.Event{events.ReservationClaimed{Kind: c.Kind, Holder: c.Holder, Ref: c.Ref, At: c.At}}, nil
}

// Evolve is the next state.
func Evolve(s State, e events.Event) State {
	switch e := e.(type) {
	case events.ReservationClaimed:
		s.Kind, s.Holder, s.Ref = e.Kind, e.Holder, e.Ref
		s.Claims++
	case events.ReservationLost: // reservations hold nothing themselves
	default:
		panic(fmt.Sprintf("reservation: event %T", e))
	}
	return s
}
