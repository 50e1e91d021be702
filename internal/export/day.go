package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// atATime bounds the files that are made at a time, as each has a row group in memory.
const atATime = 4

// task is a file to be made.
type task struct {
	Partition
	lots [][]segment
}

// tasks are the files of the day that is over: of the wide table one for each service,
// of each typed one as many.
func (w *work) tasks() (list []task) {
	wide := map[string]*task{}
	for l, segments := range w.spool.segments {
		if w.o.has(TypedTables) && l.Type != "" {
			list = append(list, w.task(l, TypedTables, segments))
		}
		if !w.o.has(WideTable) {
			continue
		}
		if wide[l.Service] == nil {
			one := w.task(l, WideTable)
			wide[l.Service] = &one
		}
		wide[l.Service].add(segments)
	}
	for _, t := range wide {
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b task) int { return b.Events - a.Events }) // the longest first
	return list
}

func (w *work) task(l lot, t Table, lots ...[]segment) task {
	one := task{Partition: Partition{File: w.o.path(l, t, w.day), Table: t, Service: l.Service, Day: w.day}}
	if t == TypedTables {
		one.Type = l.Type
	}
	for _, segments := range lots {
		one.add(segments)
	}
	return one
}

func (t *task) add(segments []segment) {
	t.lots = append(t.lots, segments)
	for _, s := range segments {
		t.Events += s.Events
	}
}

// finishDay makes the files of the day: none of its events are to come.
func (w *work) finishDay(ctx context.Context) error {
	if w.day == "" {
		return nil
	}
	if err := w.flush(); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(min(atATime, runtime.GOMAXPROCS(0)))
	var turn sync.Mutex // over the journal and what is made
	for _, t := range w.tasks() {
		if _, made := w.made[t.File]; made {
			continue
		}
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := t.run(w.spool, &w.o); err != nil {
				return err
			}
			turn.Lock()
			defer turn.Unlock()
			w.fresh = append(w.fresh, t.Partition)
			return w.journal.add(entry{File: &t.Partition})
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, p := range w.fresh {
		w.made[p.File] = p
	}
	w.fresh = nil
	if err := errors.Join(w.journal.add(entry{Over: w.day}), w.journal.file.Sync()); err != nil {
		return err // the rows are needed
	}
	w.day = ""
	return w.spool.empty()
}

// run makes the file.
func (t *task) run(s *spool, o *Options) error {
	name := filepath.Join(o.Dir, filepath.FromSlash(t.File))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	sum := &measured{to: file, hash: sha256.New()}
	err = errors.Join(t.write(s, o.Format, sum), file.Sync(), file.Close())
	t.Bytes, t.SHA256 = sum.bytes, hex.EncodeToString(sum.hash.Sum(nil))
	return err
}

func (t *task) write(s *spool, format Format, to io.Writer) error {
	rows, err := format.writer(to, t.Type)
	if err != nil {
		return err
	}
	readers := make([]*reader, len(t.lots))
	for i, segments := range t.lots {
		readers[i] = s.reader(segments)
	}
	if err := merge(readers, rows.write); err != nil {
		return err
	}
	return rows.close()
}
