package chatimport

import "slices"

// Report is what an import did with one service, and what the log has of it.
type Report struct {
	Source       string `json:"source"`
	Service      string `json:"service"` // IS…
	FriendlyName string `json:"friendly_name,omitempty"`
	OK           bool   `json:"ok"` // nothing was refused, and nothing differs
	Findings

	// NotTaken are settings of the service that have no place in Parley.
	NotTaken []string `json:"settings_not_taken,omitempty"`
}

// Findings are what a part of an import came to.
type Findings struct {
	Counts  map[string]Count `json:"counts"`
	Skipped []Note           `json:"skipped,omitempty"` // was left out
	Dropped []Note           `json:"dropped,omitempty"` // has no place here
	Flagged []Note           `json:"flagged,omitempty"` // was taken as it is, and is unusual here

	MediaWithoutBytes int `json:"media_without_bytes,omitempty"` // messages whose file is described only

	Refused     []Note       `json:"refused,omitempty"`     // is not there, or otherwise than in the source
	Differences []Difference `json:"differences,omitempty"` // between the source and the log
}

// Count is how many things of one kind there were.
type Count struct {
	Source  int  `json:"source"`           // in the source, but for what is skipped
	Written int  `json:"written"`          // by this run
	Before  int  `json:"before,omitempty"` // by an earlier one
	Refused int  `json:"refused,omitempty"`
	Found   *int `json:"found,omitempty"` // in the log, as an import wrote it; nil: not looked for
}

// The kinds of things.
const (
	kindService     = "service"
	kindRole        = "role"
	kindUser        = "user"
	kindChannel     = "conversation"
	kindMember      = "participant"
	kindMessage     = "message"
	kindHorizon     = "read_horizon"
	kindLevel       = "notification_level"
	kindReservation = "reserved_indexes"
	kindInvite      = "invite"
)

// Note says something of one thing.
type Note struct {
	Kind string `json:"kind"`
	Sid  string `json:"sid"`
	Code string `json:"code"`
	Text string `json:"text,omitempty"`
}

// Difference is a number that is not the same in the source and the log.
type Difference struct {
	Sid    string `json:"sid"`
	What   string `json:"what"`
	Source int64  `json:"source"`
	Found  int64  `json:"found"`
}

func (f *Findings) count(kind string, change func(*Count)) {
	if f.Counts == nil {
		f.Counts = map[string]Count{}
	}
	c := f.Counts[kind]
	change(&c)
	f.Counts[kind] = c
}

// found adds to what the log has of a kind.
func (f *Findings) found(kind string, n int) {
	f.count(kind, func(c *Count) {
		if c.Found != nil {
			n += *c.Found
		}
		c.Found = &n
	})
}

func (f *Findings) flag(kind, sid, code, text string) {
	f.Flagged = append(f.Flagged, Note{kind, sid, code, text})
}

func (f *Findings) drop(kind, sid, code, text string) {
	f.Dropped = append(f.Dropped, Note{kind, sid, code, text})
}

// compare notes a number that should be the same on both sides.
func (f *Findings) compare(sid, what string, source, found int64) {
	if source != found {
		f.Differences = append(f.Differences, Difference{sid, what, source, found})
	}
}

// add takes in what another part came to.
func (f *Findings) add(o *Findings) {
	for kind, c := range o.Counts {
		f.count(kind, func(sum *Count) {
			sum.Source, sum.Written, sum.Before = sum.Source+c.Source, sum.Written+c.Written, sum.Before+c.Before
			sum.Refused += c.Refused
		})
		if c.Found != nil {
			f.found(kind, *c.Found)
		}
	}
	f.Skipped = slices.Concat(f.Skipped, o.Skipped)
	f.Dropped = slices.Concat(f.Dropped, o.Dropped)
	f.Flagged = slices.Concat(f.Flagged, o.Flagged)
	f.MediaWithoutBytes += o.MediaWithoutBytes
	f.Refused = slices.Concat(f.Refused, o.Refused)
	f.Differences = slices.Concat(f.Differences, o.Differences)
}
