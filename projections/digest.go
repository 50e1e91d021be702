package projections

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"zombiezen.com/go/sqlite"
)

// Digest is the number of rows of a table and a sum over all of their values.
// Equal tables have equal digests, whatever the order of their rows.
type Digest struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
	Sum   uint64 `json:"sum,string"`
}

// digests reads every row of every table.
func digests(conn *sqlite.Conn) ([]Digest, error) {
	list := make([]Digest, 0, len(tableSpecs))
	for _, spec := range tableSpecs {
		d, err := digestTable(conn, spec.table())
		if err != nil {
			return nil, fmt.Errorf("digest %s: %w", spec.table(), err)
		}
		list = append(list, d)
	}
	return list, nil
}

func digestTable(conn *sqlite.Conn, table string) (Digest, error) {
	d := Digest{Table: table}
	stmt, _, err := conn.PrepareTransient("SELECT * FROM " + table)
	if err != nil {
		return d, err
	}
	buffer := make([]byte, 0, 1024)
	for {
		more, err := stmt.Step()
		if !more || err != nil {
			if finalErr := stmt.Finalize(); err == nil {
				err = finalErr
			}
			return d, err
		}
		buffer = appendRow(buffer[:0], stmt)
		hash := fnv.New64a()
		_, _ = hash.Write(buffer) // never fails
		d.Rows++
		giveWay(int(d.Rows))
		d.Sum += hash.Sum64()
	}
}

// appendRow writes every value with its type and length, so that no two rows
// look alike.
func appendRow(b []byte, stmt *sqlite.Stmt) []byte {
	for i := range stmt.ColumnCount() {
		switch stmt.ColumnType(i) {
		case sqlite.TypeNull:
			b = append(b, 0)
		case sqlite.TypeInteger:
			b = binary.BigEndian.AppendUint64(append(b, 1), uint64(stmt.ColumnInt64(i)))
		default:
			n := stmt.ColumnLen(i)
			b = binary.BigEndian.AppendUint32(append(b, 2), uint32(n))
			start := len(b)
			b = append(b, make([]byte, n)...)
			stmt.ColumnBytes(i, b[start:])
		}
	}
	return b
}

// Difference is a table that two generations disagree about.
type Difference struct {
	Live    Digest `json:"live"`
	Rebuilt Digest `json:"rebuilt"`
}

func compare(live, rebuilt []Digest) []Difference {
	var found []Difference
	for i := range live {
		if live[i] != rebuilt[i] {
			found = append(found, Difference{Live: live[i], Rebuilt: rebuilt[i]})
		}
	}
	return found
}
