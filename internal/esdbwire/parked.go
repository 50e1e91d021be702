package esdbwire

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire/competing"
	"github.com/parley-engine/parley/store"
)

// progress reads how far a group has come.
func (d *database) progress(ctx context.Context, c *groupConfig) (place, error) {
	r, err := d.last(ctx, c.checkpoint())
	if err != nil {
		return place{}, err
	}
	text := c.After
	if r != nil { // a number, or text in quotes
		text = strings.Trim(string(r.data), `"`)
	}
	at, err := c.place(text)
	if err != nil {
		return place{}, fmt.Errorf("checkpoint of %s: %w", c.groupName, err)
	}
	return at, nil
}

// save keeps how far the group has come when at least so many events are done that
// this is not known of, and lets go of what came back from aside.
func (g *group) save(least int32) error {
	return g.saveIn(g.ctx, least)
}

// saveLast keeps what it can when the group ends. What is lost by a failure comes to
// consumers again.
func (g *group) saveLast() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(g.ctx), 5*time.Second)
	defer cancel()
	_ = g.saveIn(ctx, 1)
}

func (g *group) saveIn(ctx context.Context, least int32) error {
	if last, n := g.queue.Done(competing.Sequence); n > 0 && n >= int(least) {
		data, err := json.Marshal(g.config.text(last.Place.(place)))
		if !g.config.all() {
			data, err = json.Marshal(last.Place.(place).revision)
		}
		if err != nil {
			return err
		}
		at := []proposed{groupEvent(checkpointType, data)}
		if _, err := g.write(ctx, g.config.checkpoint(), expectation{kind: anyRevision}, at); err != nil {
			return err
		}
		g.queue.Saved(competing.Sequence)
	}
	last, n := g.queue.Done(competing.Parked)
	if n == 0 || n < int(least) && g.queue.Open(competing.Parked) > 0 {
		return nil
	}
	s, err := g.state(ctx, g.config.parked())
	if err == nil {
		err = g.setMetadata(ctx, g.config.parked(), s, int64(last.Place.(place).revision)+1)
	}
	if err == nil {
		g.queue.Saved(competing.Parked)
	}
	return err
}

// parkBatch is how many events are put aside at a time.
const parkBatch = 100

// maxReason bounds what is kept of why an event was put aside.
const maxReason = 1000

// park puts events aside, where they can be read and replayed.
func (g *group) park(list []*competing.Message, reason string) error {
	for batch := range slices.Chunk(list, parkBatch) {
		var aside []proposed
		for _, m := range batch {
			p, err := g.aside(m, reason)
			if err != nil {
				return err
			}
			aside = append(aside, p)
		}
		if _, err := g.write(g.ctx, g.config.parked(), expectation{kind: anyRevision}, aside); err != nil {
			return err
		}
		for _, m := range batch {
			g.queue.Finish(m)
		}
	}
	return nil
}

// aside is an event that stands for one that was put aside. Its id tells when the same
// was written already.
func (g *group) aside(m *competing.Message, reason string) (proposed, error) {
	metadata, err := json.Marshal(map[string]any{
		"added": time.Now().UTC().Format(time.RFC3339Nano), "reason": reason[:min(len(reason), maxReason)], "retries": m.Retries,
	})
	target := m.Event.(carried).target()
	at := m.Place.(place)
	id := events.NameID(fmt.Sprintf("parked %s %d %d %s", g.config.ID, m.Source, at.revision, at.position))
	return proposed{
		id: id, kind: linkType, contentType: contentTypeBytes, metadata: metadata,
		data: fmt.Appendf(nil, "%d@%s", target.revision, target.stream),
	}, err
}

// replay brings back what was put aside, up to the parked event stop, exclusive, which
// may be beyond the last. It is called in the goroutine of run.
func (g *group) replay(stop int64) error {
	if g.replaying {
		return nil
	}
	s, err := g.state(g.ctx, g.config.parked())
	if err != nil {
		return err
	}
	from, to := max(s.first(), g.parkedTo), min(store.Revision(stop), s.last+1)
	if from >= to {
		return nil
	}
	g.replaying, g.parkedTo = true, to
	g.readers.Go(func() {
		err := g.readParked(from, to)
		if err == nil {
			err = g.do(g.ctx, func() { g.replaying = false })
		}
		if err != nil {
			g.cancel(err)
		}
	})
	return nil
}

func (g *group) readParked(from, to store.Revision) error {
	for e, err := range g.log.ReadStream(g.ctx, g.stored(g.config.parked()), from, store.Forwards) {
		if err != nil {
			return err
		}
		if store.Revision(e.Revision) >= to {
			break
		}
		link, err := shown(&e)
		if err != nil {
			return err
		}
		event, err := g.linked(g.ctx, &link) // nil: the consumer has to say what becomes of it
		if err != nil {
			return err
		}
		at := place{revision: store.Revision(e.Revision)}
		if err := g.arrive(arrival{g.message(carried{event, &link}, competing.Parked, at), false}); err != nil {
			return err
		}
	}
	return nil
}

// parkedCount is how many events of a group are aside.
func (d *database) parkedCount(ctx context.Context, n groupName) (int64, error) {
	s, err := d.state(ctx, n.parked())
	if err != nil || s.before == math.MaxInt64 {
		return 0, err
	}
	return int64(s.last+1) - int64(s.first()), nil
}
