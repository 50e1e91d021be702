package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/internal/reactor/guard"
	"github.com/parley-engine/parley/internal/webhooks"
)

// webhooksFile is the queue of calls of webhooks.
const webhooksFile = "webhooks.db"

// openHooks opens what tells webhooks, and asks them. What happens from the first
// opening on is told.
func (v *server) openHooks(ctx context.Context) (err error) {
	allow, err := guard.ParseAllow(v.settings.webhookAllow)
	if err != nil {
		return err
	}
	if v.told, err = v.openQueue(webhooksFile, reactor.Normal); err != nil {
		return err
	}
	mark, err := v.positionMark("webhooks")
	if err != nil {
		return err
	}
	v.guarded = (&guard.Guard{Allow: allow}).Transport()
	v.hooks = webhooks.New(webhooks.Config{
		Engine: v.engine, Log: v.store, Transport: v.guarded, Asked: askedMetrics(v.registry), Logger: v.log,
	})
	v.teller = reactor.New(v.told, v.followed(), v.hooks.React, v.hooks.Do, &reactor.Options{
		Filter: webhooks.Followed(), Attempts: v.settings.webhookAttempts, Timeout: webhooks.DefaultTimeout + time.Second,
		Mark: mark, Logger: v.log, Observe: attemptMetrics(v.registry, "parley_webhook_attempts_total", "Calls of webhooks, by what came of them: done, pending (again later) or parked."),
	})
	return v.teller.Prepare(ctx)
}

// positionMark is how far nodes are that share a log; nil: this one is alone.
func (v *server) positionMark(name string) (reactor.Mark, error) {
	if v.leases == nil {
		return nil, nil
	}
	return bus.NewPositionMark(v.conn, name)
}

// attemptMetrics counts what came of a reactor's attempts.
func attemptMetrics(r prometheus.Registerer, name, help string) func(reactor.State, time.Duration) {
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"result"})
	r.MustRegister(attempts)
	for _, s := range []reactor.State{reactor.Done, reactor.Pending, reactor.Parked} {
		attempts.WithLabelValues(string(s)) // so that it is there before the first one
	}
	return func(s reactor.State, _ time.Duration) { attempts.WithLabelValues(string(s)).Inc() }
}

// askedMetrics counts what came of pre-events.
func askedMetrics(r prometheus.Registerer) func(result string) {
	asked := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_webhook_asked_total", Help: "Pre-events by what came of them: agreed, refused, or unheard, when the request goes on unasked.",
	}, []string{"result"})
	r.MustRegister(asked)
	for _, result := range []string{webhooks.Agreed, webhooks.Denied, webhooks.Unheard} {
		asked.WithLabelValues(result) // so that it is there before the first one
	}
	return func(result string) { asked.WithLabelValues(result).Inc() }
}
