package broker

import (
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/parley-engine/parley/internal/bus/broker/salvage"
)

// keepEvery is how often it is noted how far commands are handled. After a start that was
// not preceded by an orderly stop, what was handled since the last note comes again, under
// the same ids.
const keepEvery = 500 * time.Millisecond

// mend makes damage to the folder good before anybody can publish, and tells of it.
func mend(dir string, log *slog.Logger) error {
	earlier, err := salvage.Earlier(dir)
	if err != nil {
		return fmt.Errorf("open bus store %s: %w", dir, err)
	}
	for _, found := range earlier { // it may have been found by somebody who told nobody
		log.Warn("bus store was damaged before", "detail", found, "until", "the reports are removed")
	}
	report, err := salvage.Mend(dir)
	if err != nil {
		return fmt.Errorf("open bus store %s: %w", dir, err)
	}
	for _, found := range report.Found {
		log.Warn("bus store was damaged", "detail", found, "files_as_they_were", report.Aside)
	}
	if lost := salvage.Count(report.Lost); lost > 0 {
		log.Error("ACKNOWLEDGED COMMANDS ARE LOST: send again what was not done", "commands", lost, "sequences", fmt.Sprint(report.Lost), "files_as_they_were", report.Aside)
	}
	return nil
}

// keeper notes how far the commands' stream is, as long as the server runs.
type keeper struct {
	dir   string
	nats  *server.Server
	log   *slog.Logger
	last  salvage.Progress
	fell  func(error) // told when the server must end
	end   chan struct{}
	ended chan struct{}
}

func startKeeper(dir string, ns *server.Server, log *slog.Logger, fell func(error)) *keeper {
	k := &keeper{dir: dir, nats: ns, log: log, fell: fell, end: make(chan struct{}), ended: make(chan struct{})}
	go k.run()
	return k
}

func (k *keeper) run() {
	defer close(k.ended)
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for looks := 1; ; looks++ {
		if looks%scrubEvery == 0 {
			k.scrub(looks%(scrubEvery*scrubAllEvery) == 0)
		}
		if err := k.keep(); err != nil {
			k.log.Warn("progress of the bus was not noted", "err", err)
		}
		select {
		case <-tick.C:
		case <-k.end:
			return
		}
	}
}

// How often blocks are read while the server runs: those of the commands once a minute,
// all of them once an hour.
const (
	scrubEvery    = int(time.Minute / keepEvery)
	scrubAllEvery = 60
)

// scrub ends the server when bytes of a block have changed: the broker would cut the
// stream off there when it comes upon them, or take all the memory that there is. A start
// mends them.
func (k *keeper) scrub(all bool) {
	streams := salvage.Commands
	if all {
		streams = "*"
	}
	found, err := salvage.Scrub(k.dir, streams)
	if err != nil {
		k.log.Warn("bus store was not looked through for damage", "err", err)
	}
	if len(found) > 0 {
		k.fell(fmt.Errorf("the broker's files are damaged; the next start makes good what can be made good: %s", strings.Join(found, "; ")))
	}
}

func (k *keeper) stop() {
	close(k.end)
	<-k.ended
}

// stopped notes what the server left.
func (k *keeper) stopped() {
	if err := salvage.KeepStopped(k.dir); err != nil {
		k.log.Warn("progress of the bus was not noted", "err", err)
	}
}

func (k *keeper) keep() error {
	now, there := progress(k.nats)
	if !there || now.Created.Equal(k.last.Created) && now.Last == k.last.Last && maps.Equal(now.Readers, k.last.Readers) {
		return nil
	}
	k.compare(&now)
	if err := salvage.Keep(k.dir, now); err != nil {
		return err
	}
	k.last = now
	return nil
}

// compare finds a stream that ends before what it had given, which the broker makes of
// damage that it comes upon. The note keeps that until a start has made it good.
func (k *keeper) compare(now *salvage.Progress) {
	if k.last.Fell = k.last.Fell && now.Created.Equal(k.last.Created); k.last.Fell {
		now.Fell = true
		return
	}
	if !now.Created.Equal(k.last.Created) || now.Last >= k.last.Last {
		return
	}
	k.fell(fmt.Errorf("the stream %s lost its end, from %d to %d: its files are damaged; the next start makes good what can be made good", salvage.Commands, k.last.Last, now.Last))
	now.Fell, now.Last, now.At = true, k.last.Last, k.last.At
}

// progress asks the server, in the process; false: there is no stream of commands.
func progress(ns *server.Server) (p salvage.Progress, there bool) {
	info, err := ns.Jsz(&server.JSzOptions{Accounts: true, Streams: true, Consumer: true})
	if err != nil {
		return p, false // it is stopping
	}
	for _, account := range info.AccountDetails {
		for _, stream := range account.Streams {
			if stream.Name == salvage.Commands {
				return progressOf(&stream), true
			}
		}
	}
	return p, false
}

func progressOf(stream *server.StreamDetail) salvage.Progress {
	p := salvage.Progress{Created: stream.Created, Last: stream.State.LastSeq, At: stream.State.LastTime, Readers: map[string]salvage.Floor{}}
	for _, c := range stream.Consumer {
		p.Readers[c.Name] = salvage.Floor{Consumer: c.AckFloor.Consumer, Stream: c.AckFloor.Stream}
	}
	return p
}

// Republish is whether events are to be published again from the last one that their
// stream has, because damage took others.
type Republish struct{ dir string }

// Republish returns that of the server's folder.
func (s *Server) Republish() Republish { return Republish{s.keeper.dir} }

// Wanted implements bus.Rewind.
func (r Republish) Wanted() bool { return salvage.Again(r.dir) }

// Done implements bus.Rewind.
func (r Republish) Done() error { return salvage.PublishedAgain(r.dir) }

// Damages counts the starts that found damage and whose reports are in the folder still.
func (s *Server) Damages() (int, error) { return salvage.Reports(s.keeper.dir) }
