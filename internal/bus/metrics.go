package bus

import (
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-engine/parley/internal/bus/pubsub"
)

// Values of labels.
const (
	doorCall = "call"
	doorSend = "send"
	resultOK = "ok"
)

// metrics answer: how many commands, with which result, how fast, how deep is
// the queue, and is anybody parked.
type metrics struct {
	commands *prometheus.CounterVec   // by door and result
	seconds  *prometheus.HistogramVec // by door
	buried   *prometheus.CounterVec   // by code
	losses   *prometheus.CounterVec   // by what

	// looked up once, because every command needs them
	ok   map[string]prometheus.Counter
	took map[string]prometheus.Observer
}

func newMetrics(r prometheus.Registerer, lanes *pubsub.Lanes, parked *parking) (*metrics, error) {
	m := &metrics{
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_bus_commands_total", Help: "Commands taken from the bus, by door and result (ok, put_back or the kind of failure).",
		}, []string{"door", "result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "parley_bus_handle_seconds", Help: "Time from a command's turn in its lane to its reply, retries included.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5, 30},
		}, []string{"door"}),
		buried: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_bus_dead_letters_total", Help: "Commands that became dead letters, by code.",
		}, []string{"code"}),
		losses: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_bus_deleted_total", Help: "What somebody else deleted on the broker, by what: consumer and stream are made anew, messages were commands that nobody had handled; settings of a stream were changed, and are changed back.",
		}, []string{"what"}),
	}
	for _, what := range []pubsub.Loss{pubsub.LostConsumer, pubsub.LostStream, pubsub.LostMessages, pubsub.LostSettings} {
		m.losses.WithLabelValues(string(what))
	}
	m.ok, m.took = map[string]prometheus.Counter{}, map[string]prometheus.Observer{}
	for _, door := range []string{doorCall, doorSend} {
		m.ok[door] = m.commands.WithLabelValues(door, resultOK)
		m.took[door] = m.seconds.WithLabelValues(door)
	}
	if r == nil {
		return m, nil
	}
	for _, c := range append(gauges(lanes, parked), m.commands, m.seconds, m.buried, m.losses) {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register bus metrics: %w", err)
		}
	}
	return m, nil
}

func gauges(lanes *pubsub.Lanes, parked *parking) []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "parley_bus_lane_messages", Help: "Commands that run or wait in lanes.",
		}, func() float64 { n, _ := lanes.Depth(); return float64(n) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "parley_bus_lanes", Help: "Aggregates with commands that run or wait.",
		}, func() float64 { _, n := lanes.Depth(); return float64(n) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "parley_bus_parked_aggregates", Help: "Aggregates with dead letters.",
		}, func() float64 { return float64(parked.size()) }),
	}
}

func (m *metrics) count(door, result string) {
	if result == resultOK {
		m.ok[door].Inc()
		return
	}
	m.commands.WithLabelValues(door, result).Inc()
}

func (m *metrics) lost(what pubsub.Loss, n uint64) {
	m.losses.WithLabelValues(string(what)).Add(float64(n))
}

// measure times what is inside it.
func (b *Bus) measure(next message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		start := time.Now()
		x := exchangeOf(m)
		defer func() { b.metrics.took[x.door()].Observe(time.Since(start).Seconds()) }()
		return next(m)
	}
}
