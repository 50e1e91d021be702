package sqlitestore

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// The identity of the file. formatVersion rises when an older program could no
// longer read the file.
const (
	applicationID = 0x50524c59 // "PRLY"
	formatVersion = 1
)

// schema is a storage format: a change needs a new formatVersion and a decision
// record.
const schema = `
CREATE TABLE events (
	position INTEGER PRIMARY KEY, -- 1, 2, 3, ... in commit order, no gaps
	id       BLOB    NOT NULL,    -- UUID, 16 bytes
	type     TEXT    NOT NULL,
	stream   TEXT    NOT NULL,
	revision INTEGER NOT NULL,    -- 0-based, dense per stream
	recorded INTEGER NOT NULL,    -- nanoseconds since 1970 UTC, never falls
	metadata TEXT    NOT NULL,    -- JSON
	data     TEXT    NOT NULL     -- JSON
);
CREATE TABLE stream_index (
	stream         TEXT    NOT NULL,
	first_revision INTEGER NOT NULL, -- a multiple of 64
	positions      TEXT    NOT NULL, -- JSON array of up to 64: entry i is revision first_revision + i
	PRIMARY KEY (stream, first_revision)
) WITHOUT ROWID;
CREATE TABLE index_progress (
	only             INTEGER PRIMARY KEY CHECK (only = 1),
	indexed_upto     INTEGER NOT NULL, -- stream_index has all events up to this position
	pending_upto     INTEGER NOT NULL, -- and some of those up to this one: of the streams
	pending_stream   TEXT    NOT NULL, -- up to this name
	pending_revision INTEGER NOT NULL  -- and this first_revision
);
INSERT INTO index_progress VALUES (1, 0, 0, '', 0);
CREATE VIEW log AS SELECT
	position, stream, revision, type,
	strftime('%Y-%m-%dT%H:%M:%fZ', recorded / 1e9, 'unixepoch') AS recorded_at,
	lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-' ||
		substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)) AS event_id,
	metadata, data
FROM events;
`

// create makes a new, empty log at path. It is built beside and renamed, so a
// crash leaves either nothing or a whole file.
func create(path string) error {
	building := path + ".new"
	if err := removeDatabase(building); err != nil {
		return err
	}
	if err := build(building); err != nil {
		return errors.Join(err, removeDatabase(building))
	}
	if err := os.Rename(building, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func removeDatabase(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func build(path string) (err error) {
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite, sqlite.OpenCreate)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	script := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d; %s", applicationID, formatVersion, schema)
	for _, pragma := range []string{"PRAGMA synchronous = FULL", "PRAGMA journal_mode = WAL"} {
		if err := sqlitex.ExecuteTransient(c, pragma, nil); err != nil {
			return err
		}
	}
	return sqlitex.ExecuteScript(c, script, nil)
}

// syncDir makes a file's name survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// identify refuses a file that is not a log of this format. It looks at the
// file as it lies there: without locks, recovery or side files, so a foreign
// file stays untouched. The file is never opened by other means than SQLite,
// because closing it would drop the locks of this process's other connections.
//
// A checkpoint that was cut short, by a crash or a full disk, leaves a file that
// makes sense only together with the write-ahead log beside it. So a file that
// has one is looked at a second time, with it.
func identify(path string) error {
	err := identifyWith(openImmutable, path)
	if err == nil || !hasWAL(path) {
		return err
	}
	return identifyWith(openReading, path)
}

func identifyWith(open func(path string) (*sqlite.Conn, error), path string) error {
	c, err := open(path)
	if err != nil {
		return notALog(path, err)
	}
	return errors.Join(checkIdentity(c, path), c.Close())
}

func hasWAL(path string) bool {
	info, err := os.Stat(path + "-wal")
	return err == nil && info.Size() > 0
}

func openImmutable(path string) (*sqlite.Conn, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	uri := url.URL{Scheme: "file", Path: filepath.ToSlash(absolute), RawQuery: "immutable=1"}
	return sqlite.OpenConn(uri.String(), sqlite.OpenReadOnly, sqlite.OpenURI)
}

func checkIdentity(c *sqlite.Conn, path string) error {
	id, err := queryInt(c, "PRAGMA application_id")
	if err != nil {
		return notALog(path, err)
	}
	if id != applicationID {
		return notALog(path, nil)
	}
	version, err := queryInt(c, "PRAGMA user_version")
	if err != nil {
		return notALog(path, err)
	}
	if version != formatVersion {
		return fmt.Errorf("%s has log format %d; this program reads format %d", path, version, formatVersion)
	}
	return nil
}

func notALog(path string, cause error) error {
	if cause == nil {
		return fmt.Errorf("%s is not a Parley log; nothing was changed", path)
	}
	return fmt.Errorf("%s is not a Parley log or is damaged; nothing was changed: %w", path, cause)
}

// queryInt returns the first column of the query's first row, 0 without rows.
func queryInt(c *sqlite.Conn, query string) (n int64, err error) {
	err = sqlitex.ExecuteTransient(c, query, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		n = stmt.ColumnInt64(0)
		return nil
	}})
	return n, err
}
