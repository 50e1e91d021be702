package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-engine/parley/projections"
)

// watchDrift compares conversations' rows with their events, slowly, as long as the
// server runs. A difference is counted and logged, without what the rows say; healing it
// is left to an operator.
func (v *server) watchDrift(ctx context.Context) error {
	if v.settings.driftCheck == 0 {
		<-ctx.Done()
		return nil
	}
	checked := prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_drift_checked_total", Help: "Conversations whose rows were compared with their events."})
	found := prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_drift_found_total", Help: "Comparisons that found a difference; the same conversation counts each time."})
	failed := prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_drift_failed_total", Help: "Comparisons that could not be made."})
	v.registry.MustRegister(checked, found, failed)
	v.models.Watch(ctx, v.store, v.settings.driftCheck, func(d *projections.Drift, err error) {
		if err != nil {
			failed.Inc()
			v.log.Warn("drift check failed", "err", err)
			return
		}
		if len(d.Damage) > 0 {
			found.Inc()
			v.log.Error("a file of the read models is damaged", "heal", "parley projection rebuild "+projections.Name,
				"position", d.Position, "damage", d.Damage)
			return
		}
		checked.Inc()
		if len(d.Rows) == 0 {
			return
		}
		found.Inc()
		v.log.Error("a conversation's rows are not what its events come to", "heal", "parley projection refold "+d.Conversation,
			"conversation", d.Conversation, "position", d.Position, "rows", len(d.Rows), "table", d.Rows[0].Table)
	})
	return nil
}
