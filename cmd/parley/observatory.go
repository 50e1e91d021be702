package main

import (
	"context"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/reactor"
)

// observatory measures, when somebody scrapes, what is worth an alert and is nobody's
// counter. What cannot be measured is left out of that scrape.
type observatory struct {
	server *server

	mu         sync.Mutex
	projection delay
	outbox     delay
	telling    delay
	sending    delay
}

// delay is for how long something has stood still behind the log's head, as far as
// scrapes have seen.
type delay struct {
	at    events.Position
	since time.Time
}

// seconds notes where it stands now.
func (d *delay) seconds(at, head events.Position, now time.Time) float64 {
	if at.Compare(head) >= 0 || at != d.at || d.since.IsZero() {
		d.at, d.since = at, now
	}
	return now.Sub(d.since).Seconds()
}

func described(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }

var (
	stalled         = described("parley_projection_stalled_seconds", "How long the read models have stood still behind the head, as far as scrapes have seen.")
	rebuildRunning  = described("parley_rebuild_running", "1 while a rebuild runs or is paused, 0 otherwise.")
	rebuildPaused   = described("parley_rebuild_paused", "1 while a rebuild is paused or waits for resume.")
	rebuildEvents   = described("parley_rebuild_events", "Events that the rebuild has applied; 0 without one.")
	outboxStalled   = described("parley_events_stalled_seconds", "How long publishing events has stood still behind the head, on the node that publishes, as far as scrapes have seen.")
	tellingStalled  = described("parley_webhook_stalled_seconds", "How long telling webhooks has stood still behind the head, on the node that does it, as far as scrapes have seen.")
	webhookJobs     = prometheus.NewDesc("parley_webhook_jobs", "Calls of webhooks that this node keeps, by state.", []string{"state"}, nil)
	sendingStalled  = described("parley_channel_stalled_seconds", "How long looking for messages to send has stood still behind the head, on the node that does it, as far as scrapes have seen.")
	channelJobs     = prometheus.NewDesc("parley_channel_jobs", "Messages to send (out), and messages and statuses that carriers handed over (in), that this node keeps, by state.", []string{"direction", "state"}, nil)
	deadLetters     = described("parley_dead_letters", "Dead letters.")
	deadLetterOld   = described("parley_dead_letter_oldest_seconds", "Age of the oldest dead letter; 0 without any.")
	backlog         = described("parley_bus_backlog_commands", "Durable commands that were acknowledged and are not done yet, whichever node is to do them.")
	backlogOld      = described("parley_bus_backlog_oldest_seconds", "Age of the oldest of them; 0 without any.")
	damageReports   = described("parley_bus_damage_reports", "Starts at which the broker's files were found damaged, and whose reports are there still; not there with another broker.")
	busPending      = described("parley_bus_pending_bytes", "Bytes that wait for the embedded broker's clients to read them; not there with another broker.")
	slowClients     = described("parley_bus_slow_clients_total", "Clients that the embedded broker has cut off because they did not read; not there with another broker.")
	logBytes        = described("parley_log_bytes", "Size of the log's file; not there where the log is in a database.")
	diskFree        = described("parley_disk_free_bytes", "Space that is free where the data folder is; not there where the system does not tell.")
	observatoryList = []*prometheus.Desc{stalled, rebuildRunning, rebuildPaused, rebuildEvents, outboxStalled, tellingStalled, webhookJobs, sendingStalled, channelJobs, deadLetters, deadLetterOld, backlog, backlogOld, damageReports, busPending, slowClients, logBytes, diskFree}
)

// Describe implements prometheus.Collector.
func (o *observatory) Describe(to chan<- *prometheus.Desc) {
	for _, d := range observatoryList {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (o *observatory) Collect(to chan<- prometheus.Metric) {
	tell := func(d *prometheus.Desc, value float64) {
		if !math.IsNaN(value) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
		}
	}
	o.positions(tell)
	o.rebuild(tell)
	o.letters(tell)
	o.waiting(tell)
	o.embedded(to, tell)
	o.jobs(to)
	if info, err := os.Stat(o.server.folder.log()); err == nil {
		tell(logBytes, float64(info.Size()))
	}
	tell(diskFree, freeBytes(o.server.settings.data))
}

func (o *observatory) positions(tell func(*prometheus.Desc, float64)) {
	head, err := o.server.head()
	if err != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	tell(stalled, o.projection.seconds(o.server.models.Status().Position, head, now))
	if publisher := o.server.publisher.Load(); publisher != nil {
		tell(outboxStalled, o.outbox.seconds(publisher.Position(), head, now))
	}
	if at := o.server.teller.Position(); !at.IsZero() {
		tell(tellingStalled, o.telling.seconds(at, head, now))
	}
	if at := o.server.channels.Position(); !at.IsZero() {
		tell(sendingStalled, o.sending.seconds(at, head, now))
	}
}

func (o *observatory) rebuild(tell func(*prometheus.Desc, float64)) {
	status, err := o.server.models.Rebuilding()
	if err != nil {
		return
	}
	var running, paused, applied float64
	if status != nil {
		applied = float64(status.Events)
		if running = 1; status.Paused || !status.Running {
			paused = 1
		}
	}
	tell(rebuildRunning, running)
	tell(rebuildPaused, paused)
	tell(rebuildEvents, applied)
}

// jobs counts what is to be done outside.
func (o *observatory) jobs(to chan<- prometheus.Metric) {
	countJobs(to, o.server.told, webhookJobs)
	countJobs(to, o.server.channels.Out, channelJobs, "out")
	countJobs(to, o.server.channels.In, channelJobs, "in")
}

func countJobs(to chan<- prometheus.Metric, q *reactor.Queue, d *prometheus.Desc, labels ...string) {
	counts, err := q.Counts()
	if err != nil {
		return
	}
	for _, state := range []reactor.State{reactor.Pending, reactor.Parked, reactor.Done, reactor.Discarded} {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(counts[state]), append(slices.Clone(labels), string(state))...)
	}
}

func (o *observatory) letters(tell func(*prometheus.Desc, float64)) {
	if !isClosed(o.server.bus.Ready()) {
		return // the streams may not be there yet
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	d, err := bus.OpenDeadLetters(ctx, o.server.conn)
	if err != nil {
		return
	}
	count, oldest, err := d.Depth(ctx)
	if err != nil {
		return
	}
	tell(deadLetters, float64(count))
	tell(deadLetterOld, age(oldest))
}

func (o *observatory) waiting(tell func(*prometheus.Desc, float64)) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	found, err := bus.MeasureBacklog(ctx, o.server.conn)
	if err != nil {
		return
	}
	tell(backlog, float64(found.Commands))
	tell(backlogOld, age(found.Oldest))
}

// age of an instant, in seconds; of the zero one, none.
func age(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return max(0, time.Since(at).Seconds())
}

// embedded looks at the embedded broker, if there is one.
func (o *observatory) embedded(to chan<- prometheus.Metric, tell func(*prometheus.Desc, float64)) {
	if o.server.broker == nil {
		return
	}
	if reports, err := o.server.broker.Damages(); err == nil {
		tell(damageReports, float64(reports))
	}
	pressure := o.server.broker.Pressure()
	tell(busPending, float64(pressure.Pending))
	to <- prometheus.MustNewConstMetric(slowClients, prometheus.CounterValue, float64(pressure.Slow))
}
