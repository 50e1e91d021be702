package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// lostLog refuses a log that others have seen more of, and says what can be done.
type lostLog struct {
	*store.LostEndError
	folder folder
}

func (e *lostLog) Error() string { return fmt.Sprintf("%s: %s", e.folder, e.LostEndError.Error()) }

// Unwrap returns what is lost.
func (e *lostLog) Unwrap() error { return e.LostEndError }

const wayOutOfLoss = `nothing was changed: bring back the log's files (log.db and log.db-wal belong together), or restore a backup;
  to go on without what is lost: parley serve --accept-loss --reason '…', which first writes what only the read models still have to a file`

// sightings are how far the folder's own files have seen the log.
func (f folder) sightings() ([]store.Sighting, error) {
	seen, err := projections.Sightings(f.read())
	if err != nil {
		return nil, err
	}
	queues, err := filepath.Glob(f.queue("*.db"))
	if err != nil {
		return nil, err
	}
	for _, path := range queues {
		at, err := reactor.CursorIn(path)
		if err != nil {
			return nil, damagedQueue(path, err)
		}
		seen = append(seen, store.Sighting{By: "reactors/" + filepath.Base(path), Position: at})
	}
	backup, err := f.lastBackup()
	if err != nil || backup == nil {
		return seen, err
	}
	return append(seen, store.Sighting{By: "the backup " + backup.File, Position: backup.Position, Event: backup.Event}), nil
}

// checkLog compares the log with what the folder's files have seen of it. A log in the
// folder is looked at before it is opened for writing, because that would clear away what
// a damaged write-ahead log still has.
func (f folder) checkLog(ctx context.Context, log store.LogReader, more ...store.Sighting) error {
	seen, err := f.sightings()
	if err != nil {
		return err
	}
	return f.lost(store.CheckSightings(ctx, log, append(seen, more...)))
}

// replicaPatience is how long a node of a cluster may be behind the others.
const replicaPatience = 5 * time.Second

// checkRemote is checkLog for a log in a database, of which this may be a replica that has
// not caught up yet.
func (f folder) checkRemote(ctx context.Context, log store.LogReader) error {
	patient, cancel := context.WithTimeout(ctx, replicaPatience)
	defer cancel()
	for {
		err := f.checkLog(ctx, log)
		lost := new(lostLog)
		if !errors.As(err, &lost) || lost.Last().Position.Compare(lost.Head) <= 0 {
			return err
		}
		if _, waited := log.Wait(patient, lost.Head); waited != nil {
			return err // nothing more came
		}
	}
}

func (f folder) lost(err error) error {
	if lost := new(store.LostEndError); errors.As(err, &lost) {
		return &lostLog{lost, f}
	}
	return err
}

// checkFile is checkLog for the log in the folder, which has a mark of what was
// acknowledged; one that is not there yet has lost nothing.
func (f folder) checkFile(ctx context.Context) (err error) {
	if _, err := os.Stat(f.log()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	seen, err := sqlitestore.LastSeen(f.log())
	if err != nil {
		return err
	}
	log, err := openFileReading(f.log())
	if err != nil {
		return nil // who opens it for writing says it better
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return f.checkLog(ctx, log, seen)
}

// accepting is what it takes to go on with a log that has lost its end.
type accepting struct {
	reason string
	logger *slog.Logger
}

// openLosing opens the log for writing also when it has lost its end, and keeps in it that
// somebody accepted that. It returns where the log ended; nil: nothing is lost.
func (f folder) openLosing(ctx context.Context, a accepting) (store.Log, *events.Position, error) {
	r, err := f.remote()
	if err == nil {
		err = f.tighten(a.logger)
	}
	if err != nil {
		return nil, nil, err
	}
	if r == nil {
		err = f.checkFile(ctx)
	}
	var lost *lostLog
	if err != nil && !errors.As(err, &lost) {
		return nil, nil, err
	}
	log, err := f.openUnchecked(ctx, r, a.logger)
	if err != nil {
		return nil, nil, err
	}
	if r != nil {
		err = f.checkRemote(ctx, log)
	}
	if errors.As(err, &lost) || lost != nil {
		err = f.acceptLoss(ctx, log, lost, a)
	}
	if err != nil {
		return nil, nil, errors.Join(err, log.Close())
	}
	if lost == nil {
		return log, nil, nil
	}
	return log, &lost.Head, nil
}

// acceptLoss rescues what only the read models have, and then writes to the log that it
// goes on without the rest.
func (f folder) acceptLoss(ctx context.Context, log store.Log, lost *lostLog, a accepting) error {
	rescued, rows, err := f.rescue(ctx, log)
	if err != nil {
		return fmt.Errorf("rescue what only the read models have: %w; to go on without it, move %s away", err, f.read())
	}
	account, err := f.knownAccount()
	if err != nil {
		return err
	}
	event := lossOf(lost.LostEndError, a.reason, rescued)
	if err := recordLoss(ctx, log, account, event); err != nil {
		return err
	}
	if err := f.forgetLost(lost.Head, event.At); err != nil {
		return err
	}
	a.logger.Warn("the log has lost its end, and that was accepted", "log_end", event.LogEnd, "seen", event.Seen,
		"seen_by", strings.Join(event.SeenBy, ", "), "reason", a.reason, "rescued", rescued, "rows", rows)
	return nil
}

func lossOf(lost *store.LostEndError, reason, rescued string) events.LogLossAccepted {
	e := events.LogLossAccepted{
		LogEnd: lost.Head.String(), Seen: lost.Last().Position.String(), Operator: operatorHere(),
		OperatorReason: reason, Rescued: rescued, At: time.Now().UTC(),
	}
	for _, s := range lost.Lost {
		e.SeenBy = append(e.SeenBy, s.By)
	}
	return e
}

// operatorHere is who runs this process, as far as the system knows.
func operatorHere() string {
	name := "?"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
}

// recordLoss appends to the account's stream, where operators look for what was done to
// the whole.
func recordLoss(ctx context.Context, log store.Log, account string, e events.LogLossAccepted) error {
	name, data, err := events.Vocabulary().Encode(e)
	if err != nil {
		return err
	}
	id := events.ID(uuid.New())
	stream := events.Stream(events.CategoryAccount, account)
	last := store.NoStream
	for r, err := range log.ReadStream(ctx, stream, store.End, store.Backwards) {
		if err != nil {
			return err
		}
		last = store.Revision(r.Revision)
		break
	}
	_, err = log.Append(ctx, stream, last, []events.Proposed{{ID: id, Type: name, Data: data, Metadata: events.Metadata{
		Account: account, Actor: events.Actor{Kind: events.ActorSystem, ID: "serve --accept-loss"},
	}}})
	return err
}

// rescueTime is when something was rescued, in a name.
const rescueTime = "20060102T150405Z"

// rescue writes what only the read models have to a file, whose name it returns; empty:
// there is nothing.
func (f folder) rescue(ctx context.Context, streams store.StreamReader) (name string, rows int, err error) {
	name = "rescued-" + time.Now().UTC().Format(rescueTime) + ".jsonl"
	file, err := os.OpenFile(f.path(name+".new"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", 0, err
	}
	rows, err = projections.Rescue(ctx, f.read(), streams, file)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil || rows == 0 {
		return "", 0, errors.Join(err, os.Remove(f.path(name+".new")))
	}
	return name, rows, errors.Join(os.Rename(f.path(name+".new"), f.path(name)), syncFolder(string(f)))
}

// forgetLost takes back what the folder's files have seen of what is lost, lest the next
// start finds it lost again. The read models, which are built anew, are moved aside: they
// are the last copy.
func (f folder) forgetLost(end events.Position, at time.Time) error {
	aside := f.path("rescued-" + at.Format(rescueTime) + ".read")
	return errors.Join(
		ignoreMissing(os.Rename(f.read(), aside)),
		ignoreMissing(os.Remove(f.lastBackupFile())),
		f.setQueuesBack(end),
	)
}

// setQueuesBack has the queues go on where the log ended.
func (f folder) setQueuesBack(end events.Position) error {
	queues, err := filepath.Glob(f.queue("*.db"))
	if err != nil {
		return err
	}
	for _, path := range queues {
		at, err := reactor.CursorIn(path)
		if err != nil {
			return damagedQueue(path, err)
		}
		if at.Compare(end) <= 0 {
			continue
		}
		q, err := reactor.OpenExisting(path)
		if err != nil {
			return damagedQueue(path, err)
		}
		if err := errors.Join(q.Move(end), q.Close()); err != nil {
			return damagedQueue(path, err)
		}
	}
	return nil
}

// checkMarks is checkLog for what the broker has kept, which is there only now.
func (v *server) checkMarks(ctx context.Context) error {
	seen, err := bus.Sightings(ctx, v.conn)
	if err != nil {
		return err
	}
	end := v.lostAt
	if end == nil {
		err := v.folder.lost(store.CheckSightings(ctx, v.store, seen))
		var lost *lostLog
		if !errors.As(err, &lost) || !v.settings.acceptLoss {
			return err
		}
		a := accepting{reason: v.settings.lossReason, logger: v.log}
		if err := v.folder.acceptLoss(ctx, v.store, lost, a); err != nil {
			return err
		}
		end = &lost.Head
	}
	return bus.SetBack(ctx, v.conn, *end)
}

// backedUp is what the folder remembers of its last backup.
type backedUp struct {
	File     string          `json:"file"`
	Created  time.Time       `json:"created"`
	Position events.Position `json:"position"`
	Event    events.ID       `json:"event"` // at the position
}

func (f folder) lastBackupFile() string { return f.path("last-backup.json") }

// lastBackup returns nil when there was none.
func (f folder) lastBackup() (*backedUp, error) {
	data, err := os.ReadFile(f.lastBackupFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b := new(backedUp)
	if err := json.Unmarshal(data, b); err != nil {
		return nil, fmt.Errorf("%s is damaged (%w): it says how far the last backup goes; remove it, and the next backup writes it again", f.lastBackupFile(), err)
	}
	return b, nil
}

func (f folder) keepBackup(b backedUp) error {
	data, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return writeFile(f.lastBackupFile(), append(data, '\n'))
}
