package events

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Position is a place in the whole log. Positions rise with commit order and
// have gaps. Two numbers, because a KurrentDB position is a (commit, prepare)
// pair that must come back unchanged; Parley's own stores use equal numbers.
// The zero Position is before the first event.
type Position struct {
	Commit  uint64
	Prepare uint64
}

// At returns the Position whose two numbers are both n.
func At(n uint64) Position { return Position{Commit: n, Prepare: n} }

// Compare orders positions as the log does: -1, 0 or +1.
func (p Position) Compare(q Position) int {
	if c := cmp.Compare(p.Commit, q.Commit); c != 0 {
		return c
	}
	return cmp.Compare(p.Prepare, q.Prepare)
}

// IsZero reports whether p is before the first event.
func (p Position) IsZero() bool { return p == Position{} }

// String is "42" when both numbers agree and "42/41" otherwise.
func (p Position) String() string {
	if p.Commit == p.Prepare {
		return strconv.FormatUint(p.Commit, 10)
	}
	return strconv.FormatUint(p.Commit, 10) + "/" + strconv.FormatUint(p.Prepare, 10)
}

// ParsePosition reads what String writes.
func ParsePosition(s string) (Position, error) {
	commit, prepare, pair := strings.Cut(s, "/")
	c, err := strconv.ParseUint(commit, 10, 64)
	if err != nil {
		return Position{}, fmt.Errorf("not a log position: %.40q", s)
	}
	if !pair {
		return At(c), nil
	}
	p, err := strconv.ParseUint(prepare, 10, 64)
	if err != nil {
		return Position{}, fmt.Errorf("not a log position: %.40q", s)
	}
	return Position{Commit: c, Prepare: p}, nil
}

// MarshalText writes the text form, so JSON carries a string: two 64-bit
// numbers do not survive languages whose numbers are floating point.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is ParsePosition for encoders.
func (p *Position) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePosition(string(b))
	return err
}
