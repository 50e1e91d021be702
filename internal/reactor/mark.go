package reactor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// mark keeps, beside a queue, the number of the last transaction that somebody was told
// is durable: 8 bytes and their CRC-32. SQLite reads a write-ahead log up to the first page
// that is wrong and says nothing of what is behind; without one it says nothing at all. The
// mark is not synced: the system has it whatever happens to the process, and after a power
// cut it may be an earlier one, which is as true.
type mark struct {
	path string
	file *os.File
}

const markSize = 8 + crc32.Size

func markOf(path string) string { return path + "-mark" }

func (m *mark) open() (err error) {
	m.file, err = os.OpenFile(m.path, os.O_CREATE|os.O_RDWR, 0o600)
	return err
}

func (m *mark) close() error { return m.file.Close() }

// note is best effort: without it a loss is not noticed, which is no reason to lose more.
func (m *mark) note(turn int64) {
	var b [markSize]byte
	binary.BigEndian.PutUint64(b[:], uint64(turn))
	binary.BigEndian.PutUint32(b[8:], crc32.ChecksumIEEE(b[:8]))
	_, _ = m.file.WriteAt(b[:], 0)
}

// marked is what note kept, zero for nothing that can be read.
func marked(path string) (turn int64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var b [markSize]byte
	_, err = io.ReadFull(f, b[:])
	err = errors.Join(err, f.Close())
	if err != nil || binary.BigEndian.Uint32(b[8:]) != crc32.ChecksumIEEE(b[:8]) {
		return 0, nil //nolint:nilerr // a mark that is cut or damaged knows nothing
	}
	return int64(binary.BigEndian.Uint64(b[:])), nil
}

func nextTurn(conn *sqlite.Conn) (turn int64, err error) {
	err = sqlitex.Execute(conn, `UPDATE turn SET number = number + 1 RETURNING number`, &sqlitex.ExecOptions{ResultFunc: func(row *sqlite.Stmt) error {
		turn = row.ColumnInt64(0)
		return nil
	}})
	return turn, err
}

// hasAll refuses a file that lacks what somebody was told is durable.
func hasAll(conn *sqlite.Conn, path string) error {
	told, err := marked(markOf(path))
	if err != nil || told == 0 {
		return err
	}
	var turn int64
	err = sqlitex.ExecuteTransient(conn, `SELECT number FROM turn`, &sqlitex.ExecOptions{ResultFunc: func(row *sqlite.Stmt) error {
		turn = row.ColumnInt64(0)
		return nil
	}})
	if err == nil && turn < told {
		err = fmt.Errorf("%d changes that were acknowledged are missing: its -wal was damaged or deleted; to go on with what is left, remove %s", told-turn, markOf(path))
	}
	return err
}
