package projections

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"zombiezen.com/go/sqlite"
)

// Key is a place in a list: the key of one of its rows. The zero Key is before
// the first row. Keys of different lists must not be mixed.
type Key struct {
	n    int64  // leading number: a date or an index, 0 in lists that have none
	id   int64  // row id
	text string // SID, in lists ordered by one
	set  bool
}

// IsZero reports whether the key is before the first row.
func (k Key) IsZero() bool { return !k.set }

// String is a compact text that [ParseKey] reads; empty for the zero Key.
func (k Key) String() string {
	if !k.set {
		return ""
	}
	return strconv.FormatInt(k.n, 36) + "_" + strconv.FormatInt(k.id, 36) + "_" + k.text
}

// ParseKey reads what String writes.
func ParseKey(s string) (Key, error) {
	if s == "" {
		return Key{}, nil
	}
	parts := strings.SplitN(s, "_", 3)
	if len(parts) != 3 {
		return Key{}, fmt.Errorf("not a place in a list: %.60q", s)
	}
	n, err := strconv.ParseInt(parts[0], 36, 64)
	if err != nil {
		return Key{}, fmt.Errorf("not a place in a list: %.60q", s)
	}
	id, err := strconv.ParseInt(parts[1], 36, 64)
	if err != nil {
		return Key{}, fmt.Errorf("not a place in a list: %.60q", s)
	}
	return Key{n: n, id: id, text: parts[2], set: true}, nil
}

// Page asks for a part of a list.
type Page struct {
	After Key  // begin behind this row; the zero Key is the beginning
	Limit int  // rows at most; below 1 means 50
	Back  bool // the rows right before After instead, still in the list's order
}

// List is a part of a list.
type List[R any] struct {
	Items []R
	First Key  // of the first item; ask for the page before it
	Last  Key  // of the last item; ask for the page behind it
	More  bool // there are rows behind Last (before First, when asked backwards)
}

// listing describes a list that is read by key, at a cost that does not depend
// on how deep the page lies.
type listing[R any] struct {
	columns []column[R]
	from    string   // FROM … WHERE …, with parameters for args
	args    []any    // of from
	order   []string // columns of the key, unique together
	desc    bool
	least   any // first value of order[0], nil when it may be any
	most    any // last value of order[0], nil when it may be any
	key     func(R) Key
	bind    func(Key) []any // values for order
}

// where narrows the list by a condition with one parameter.
func (l *listing[R]) where(condition string, arg any) {
	l.from, l.args = l.from+" AND "+condition, append(l.args, arg)
}

func (l listing[R]) page(conn *sqlite.Conn, p Page) (List[R], error) {
	if p.Limit < 1 {
		p.Limit = 50
	}
	tail, args := l.tail(p)
	rows, err := query(conn, l.columns, tail, args...)
	if err != nil {
		return List[R]{}, err
	}
	list := List[R]{Items: rows, More: len(rows) > p.Limit}
	if list.More {
		list.Items = rows[:p.Limit]
	}
	if p.Back {
		slices.Reverse(list.Items)
	}
	if n := len(list.Items); n > 0 {
		list.First, list.Last = l.key(list.Items[0]), l.key(list.Items[n-1])
	}
	return list, nil
}

// tail asks for one row too many, to know whether there are more.
func (l listing[R]) tail(p Page) (string, []any) {
	down := l.desc != p.Back
	direction, comparison := " ASC", ">"
	if down {
		direction, comparison = " DESC", "<"
	}
	l.args = slices.Clone(l.args)
	l.within(!p.After.IsZero(), down)
	if !p.After.IsZero() {
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(l.order)), ", ")
		l.from += fmt.Sprintf(" AND (%s) %s (%s)", strings.Join(l.order, ", "), comparison, marks)
		l.args = append(l.args, l.bind(p.After)...)
	}
	l.from += " ORDER BY " + strings.Join(l.order, direction+", ") + direction + " LIMIT ?"
	return l.from, append(l.args, p.Limit+1)
}

// within adds the bounds. An index is entered at one place only: where a page
// begins behind a row, the plus keeps the bound that the row has passed from
// being taken for it, or a deep page would walk over all before it.
func (l *listing[R]) within(continued, down bool) {
	passed := map[bool]string{true: "+"}
	if l.least != nil {
		l.where(passed[continued && !down]+l.order[0]+" >= ?", l.least)
	}
	if l.most != nil {
		l.where(passed[continued && down]+l.order[0]+" <= ?", l.most)
	}
}

func byID(id int64) Key                { return Key{id: id, set: true} }
func bindID(k Key) []any               { return []any{k.id} }
func byNumber(n, id int64) Key         { return Key{n: n, id: id, set: true} }
func bindNumber(k Key) []any           { return []any{k.n} }
func bindNumberID(k Key) []any         { return []any{k.n, k.id} }
func byText(text string, id int64) Key { return Key{id: id, text: text, set: true} }
func bindTextID(k Key) []any           { return []any{k.text, k.id} }
