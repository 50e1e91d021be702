package projections

import (
	"fmt"
	"hash/maphash"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// tableSpec describes a table whose rows are found by the key K. The first
// column is the row id: the ordinal of the event that made the row, so rows are
// appended in log order and a rebuild numbers them the same way.
type tableSpec[K comparable, R any] struct {
	name    string
	columns []column[R]
	key     []string                     // columns of the key
	bindKey func(stmt *sqlite.Stmt, k K) // binds parameters 1 to len(key)
	keyOf   func(r *R) K
	id      func(r *R) *int64
	indexes []string // what follows "INDEX <table>_<n> ON <table> " in the other indexes; "UNIQUE " may lead
}

// table keeps the hot rows of one SQL table in memory and writes changed ones
// when told to. It belongs to one goroutine and one connection.
//
// The cache has two halves: a row that is used moves to the young half; when
// that is full, the old half is dropped. So at most 2 × limit rows are kept.
type table[K comparable, R any] struct {
	spec  *tableSpec[K, R]
	conn  *sqlite.Conn
	limit int

	young, old map[K]*entry[R]
	dirty      []*entry[R]
	keyed      bool // the index of the key exists; false while a new generation is filled

	// evicted finds the rows that left the cache while a new generation is
	// filled: hash of the key to row id. What is neither cached nor here does
	// not exist.
	evicted map[uint64]int64
	seed    maphash.Seed

	changed func(table string, id int64) // is told of each row that changes; nil for nobody

	insert, updatePlain, updateAll, remove, load, loadID *sqlite.Stmt
}

// evictedPerCached bounds the evicted rows that are remembered, as a multiple
// of the cache; each takes some 30 bytes. With more the index of the key is
// made early.
const evictedPerCached = 64

// entry is a cached row.
type entry[R any] struct {
	row    R
	stored bool       // a row with this id is in the table
	gone   bool       // deleted
	dirty  bool       // in the dirty list
	change changeKind // what must be written
}

type changeKind int

const (
	plainChange changeKind = iota
	indexedChange
)

func newTable[K comparable, R any](spec *tableSpec[K, R], conn *sqlite.Conn, limit int, bulk bool) *table[K, R] {
	return &table[K, R]{
		spec: spec, conn: conn, limit: limit, keyed: !bulk,
		evicted: make(map[uint64]int64), seed: maphash.MakeSeed(),
		young: make(map[K]*entry[R]), old: make(map[K]*entry[R]),
	}
}

// add puts a new row into the table.
func (t *table[K, R]) add(k K, row R) error {
	e := &entry[R]{row: row}
	t.mark(e, indexedChange)
	return t.keep(k, e)
}

// get returns the row with the key, nil when there is none. The entry may be
// changed in place, followed by a call of mark.
func (t *table[K, R]) get(k K) (*entry[R], error) {
	if e, hit := t.young[k]; hit {
		return e.present(), nil
	}
	e, hit := t.old[k]
	if hit {
		delete(t.old, k)
	} else {
		var err error
		if e, err = t.fetch(k); e == nil || err != nil {
			return nil, err
		}
	}
	return e.present(), t.keep(k, e)
}

func (e *entry[R]) present() *entry[R] {
	if e.gone {
		return nil
	}
	return e
}

// mark notes that the entry differs from what is stored.
func (t *table[K, R]) mark(e *entry[R], change changeKind) {
	if !e.dirty {
		e.dirty, e.change = true, change
		t.dirty = append(t.dirty, e)
	}
	e.change = max(e.change, change)
	if t.changed != nil {
		t.changed(t.spec.name, *t.spec.id(&e.row))
	}
}

func (t *table[K, R]) observe(changed func(table string, id int64)) { t.changed = changed }

// drop deletes the row.
func (t *table[K, R]) drop(e *entry[R]) {
	e.gone = true
	t.mark(e, plainChange)
}

func (t *table[K, R]) keep(k K, e *entry[R]) error {
	t.young[k] = e
	if len(t.young) < t.limit {
		return nil
	}
	if err := t.flush(); err != nil { // nothing that is dropped may be unwritten
		return err
	}
	if err := t.remember(); err != nil {
		return err
	}
	t.old, t.young = t.young, make(map[K]*entry[R], t.limit)
	return nil
}

// remember notes where the rows of the old half can be found once it is gone.
func (t *table[K, R]) remember() error {
	if t.keyed {
		return nil
	}
	for k, e := range t.old {
		hash, id := maphash.Comparable(t.seed, k), *t.spec.id(&e.row)
		if e.gone {
			delete(t.evicted, hash)
			continue
		}
		if other, taken := t.evicted[hash]; taken && other != id || len(t.evicted) > evictedPerCached*t.limit {
			return t.makeKey()
		}
		t.evicted[hash] = id
	}
	return nil
}

// flush writes every changed row, in the order of their first change.
func (t *table[K, R]) flush() error {
	for i, e := range t.dirty {
		giveWay(i)
		if err := t.write(e); err != nil {
			return fmt.Errorf("write %s: %w", t.spec.name, err)
		}
		e.dirty = false
	}
	clear(t.dirty)
	t.dirty = t.dirty[:0]
	return nil
}

func (t *table[K, R]) write(e *entry[R]) error {
	switch {
	case e.gone && !e.stored:
		return nil
	case e.gone:
		e.stored = false
		return t.deleteRow(*t.spec.id(&e.row))
	case !e.stored:
		e.stored = true
		return t.exec(&t.insert, t.insertSQL, func(s *sqlite.Stmt) { t.bindRow(s, &e.row, fixedColumn) })
	case e.change == indexedChange:
		return t.exec(&t.updateAll, t.updateAllSQL, func(s *sqlite.Stmt) { t.bindUpdate(s, &e.row, indexedColumn) })
	default:
		return t.exec(&t.updatePlain, t.updatePlainSQL, func(s *sqlite.Stmt) { t.bindUpdate(s, &e.row, plainColumn) })
	}
}

func (t *table[K, R]) exec(stmt **sqlite.Stmt, sql func() string, bind func(*sqlite.Stmt)) error {
	if *stmt == nil {
		var err error
		if *stmt, err = t.conn.Prepare(sql()); err != nil {
			return err
		}
	}
	bind(*stmt)
	_, err := (*stmt).Step()
	if resetErr := (*stmt).Reset(); err == nil {
		err = resetErr
	}
	return err
}

func (t *table[K, R]) deleteRow(id int64) error {
	return t.exec(&t.remove, t.deleteSQL, func(s *sqlite.Stmt) { s.BindInt64(1, id) })
}

// fetch reads a row that is not cached.
func (t *table[K, R]) fetch(k K) (*entry[R], error) {
	if !t.keyed {
		id, known := t.evicted[maphash.Comparable(t.seed, k)]
		if !known {
			return nil, nil
		}
		e, err := t.read(&t.loadID, t.selectIDSQL, func(s *sqlite.Stmt) { s.BindInt64(1, id) })
		if err != nil || e != nil && t.spec.keyOf(&e.row) == k {
			return e, err
		}
		if err := t.makeKey(); err != nil { // two keys with one hash, or the row was deleted
			return nil, err
		}
	}
	e, err := t.read(&t.load, t.selectSQL, func(s *sqlite.Stmt) { t.spec.bindKey(s, k) })
	if err == nil && e != nil && t.spec.keyOf(&e.row) != k {
		return nil, &DamagedError{Path: t.spec.name, Reason: "its index leads to the row of another key"}
	}
	return e, err
}

func (t *table[K, R]) read(stmt **sqlite.Stmt, sql func() string, bind func(*sqlite.Stmt)) (found *entry[R], err error) {
	if *stmt == nil {
		if *stmt, err = t.conn.Prepare(sql()); err != nil {
			return nil, err
		}
	}
	bind(*stmt)
	more, err := (*stmt).Step()
	if more {
		found = &entry[R]{stored: true}
		scanRow(*stmt, t.spec.columns, &found.row)
	}
	if resetErr := (*stmt).Reset(); err == nil {
		err = resetErr
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", t.spec.name, err)
	}
	return found, nil
}

// scanRow reads the columns, which must be the first of the statement's result.
func scanRow[R any](stmt *sqlite.Stmt, columns []column[R], r *R) {
	for i := range columns {
		columns[i].scan(stmt, i, r)
	}
}

// bindRow binds all columns up to the class, from parameter 1 on, and returns
// the number of the next parameter.
func (t *table[K, R]) bindRow(s *sqlite.Stmt, r *R, upto columnClass) int {
	n := 1
	for i := range t.spec.columns {
		if c := &t.spec.columns[i]; c.class <= upto {
			c.bind(s, n, r)
			n++
		}
	}
	return n
}

func (t *table[K, R]) bindUpdate(s *sqlite.Stmt, r *R, upto columnClass) {
	s.BindInt64(t.bindRow(s, r, upto), *t.spec.id(r))
}

func (t *table[K, R]) insertSQL() string {
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", t.spec.name, names(t.spec.columns),
		strings.TrimSuffix(strings.Repeat("?, ", len(t.spec.columns)), ", "))
}

func (t *table[K, R]) updatePlainSQL() string { return t.updateSQL(plainColumn) }
func (t *table[K, R]) updateAllSQL() string   { return t.updateSQL(indexedColumn) }

func (t *table[K, R]) updateSQL(upto columnClass) string {
	var set []string
	for _, c := range t.spec.columns {
		if c.class <= upto {
			set = append(set, c.name+" = ?")
		}
	}
	return fmt.Sprintf("UPDATE %s SET %s WHERE id = ?", t.spec.name, strings.Join(set, ", "))
}

func (t *table[K, R]) deleteSQL() string {
	return fmt.Sprintf("DELETE FROM %s WHERE id = ?", t.spec.name)
}

// selectSQL reads all of the row from the table, nothing from the index that finds it.
func (t *table[K, R]) selectSQL() string {
	return fmt.Sprintf("SELECT %[1]s FROM %[2]s WHERE id = (SELECT id FROM %[2]s WHERE %[3]s = ?)", names(t.spec.columns), t.spec.name,
		strings.Join(t.spec.key, " = ? AND "))
}

func (s *tableSpec[K, R]) table() string { return s.name }

func (t *table[K, R]) selectIDSQL() string {
	return fmt.Sprintf("SELECT %s FROM %s WHERE id = ?", names(t.spec.columns), t.spec.name)
}

// create makes the table, without indexes.
func (s *tableSpec[K, R]) create(conn *sqlite.Conn) error {
	lines := make([]string, len(s.columns))
	for i, c := range s.columns {
		lines[i] = "  " + c.name + " " + c.decl
	}
	sql := fmt.Sprintf("CREATE TABLE %s (\n%s\n)", s.name, strings.Join(lines, ",\n"))
	return sqlitex.ExecuteTransient(conn, sql, nil)
}

// makeKey makes the index of the key unless it exists.
func (t *table[K, R]) makeKey() error {
	if t.keyed {
		return nil
	}
	t.keyed, t.evicted = true, nil
	return t.spec.createKey(t.conn)
}

func (s *tableSpec[K, R]) createKey(conn *sqlite.Conn) error {
	sql := fmt.Sprintf("CREATE UNIQUE INDEX IF NOT EXISTS %s_key ON %s (%s)", s.name, s.name, strings.Join(s.key, ", "))
	return sqlitex.ExecuteTransient(conn, sql, nil)
}

// makeIndexes makes all indexes that do not exist.
func (t *table[K, R]) makeIndexes() error {
	if err := t.makeKey(); err != nil {
		return err
	}
	return t.spec.createIndexes(t.conn)
}

func (s *tableSpec[K, R]) createIndexes(conn *sqlite.Conn) error {
	for i, index := range s.indexes {
		unique, rest := "", index
		if after, ok := strings.CutPrefix(index, "UNIQUE "); ok {
			unique, rest = "UNIQUE ", after
		}
		sql := fmt.Sprintf("CREATE %sINDEX %s_%d ON %s %s", unique, s.name, i+1, s.name, rest)
		if err := sqlitex.ExecuteTransient(conn, sql, nil); err != nil {
			return fmt.Errorf("index %s: %w", s.name, err)
		}
	}
	return nil
}

func (t *table[K, R]) resize(limit int) { t.limit = limit }
