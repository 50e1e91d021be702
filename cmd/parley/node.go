package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/bus/broker"
	"github.com/parley-engine/parley/internal/bus/lease"
	"github.com/parley-engine/parley/store"
)

// nodeName is what a process may be called where several share a log.
var nodeName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// checkNode reports what is wrong with the settings about others, and fills in
// what can be made up.
func (s *settings) checkNode() error {
	var problems []error
	if s.node == "" {
		s.node = madeUpName()
	}
	if !nodeName.MatchString(s.node) {
		problems = append(problems, fmt.Errorf("--node %q: 1 to 64 letters, digits, - and _", s.node))
	}
	if s.store.URL != "" {
		problems = append(problems, checkRemote("--store", s.store.URL))
	} else if s.store != (remote{}) {
		problems = append(problems, errors.New("--store-credentials-file and --store-prefix need --store"))
	}
	if s.broker.URL == "" {
		if s.broker.Creds != "" || s.broker.CA != "" || s.brokerTokenFile != "" {
			problems = append(problems, errors.New("--broker-token-file, --broker-creds and --broker-ca need --broker"))
		}
		return errors.Join(problems...)
	}
	for text := range strings.SplitSeq(s.broker.URL, ",") {
		if u, err := url.Parse(text); err == nil && u.User != nil {
			problems = append(problems, errors.New("--broker must not hold a secret; give --broker-token-file or --broker-creds"))
		} else {
			problems = append(problems, checkBase("--broker", text, "nats", "tls"))
		}
	}
	return errors.Join(problems...)
}

// madeUpName differs from start to start: nothing is remembered by it.
func madeUpName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "node"
	}
	host = regexp.MustCompile(`[^A-Za-z0-9_-]+`).ReplaceAllString(host, "-")
	random, err := randomHex(3)
	if err != nil {
		random = fmt.Sprint(os.Getpid())
	}
	return host[:min(len(host), 48)] + "-" + random
}

// connect opens the connection to the broker: the embedded one, which it starts,
// or the one that was named.
func (v *server) connect() (err error) {
	if v.settings.broker.URL != "" {
		v.target, err = v.settings.brokerTarget()
		if err != nil {
			return err
		}
	} else if v.target, err = v.startBroker(); err != nil {
		return err
	}
	if v.broker != nil {
		v.conn, err = v.broker.Connect("parley "+v.settings.node, v.log)
		return err
	}
	v.conn, err = v.target.Connect("parley "+v.settings.node, v.log)
	return err
}

func (s *settings) brokerTarget() (target broker.Target, err error) {
	target = s.broker
	if s.brokerTokenFile != "" {
		target.Token, err = secretIn(s.brokerTokenFile)
	}
	return target, err
}

func (v *server) startBroker() (broker.Target, error) {
	token, err := v.folder.secret("bus-token")
	if err != nil {
		return broker.Target{}, err
	}
	tokens, err := v.folder.busTokens().Tokens()
	if err != nil {
		return broker.Target{}, err
	}
	v.broker, err = broker.Start(v.folder.path("bus"), &broker.Options{
		Address: v.settings.nats, Token: token, Tokens: tokens, SyncInterval: v.settings.syncInterval,
		Patience: v.settings.patience, Logger: v.log,
	})
	if err != nil {
		return broker.Target{}, err
	}
	return broker.Target{URL: v.broker.URL()}, nil
}

// awaitBroker returns when the embedded broker can no longer store, with why. What a
// failed sync left behind is for the next start to find out.
func (v *server) awaitBroker(ctx context.Context) error {
	if v.broker == nil {
		return nil
	}
	select {
	case err := <-v.broker.Failed():
		return err
	case <-ctx.Done():
		return nil
	}
}

// openLeases is for a broker that others may use as well.
func (v *server) openLeases(ctx context.Context) (err error) {
	if v.broker != nil {
		return nil
	}
	v.leases, err = lease.Open(ctx, v.conn, lease.Options{Node: v.settings.node, Logger: v.log})
	return err
}

// nodeName is what the engine signs events with: nothing while the log is its
// alone.
func (v *server) nodeName() string {
	if v.shared {
		return v.settings.node
	}
	return ""
}

// followed is the log for those who follow it as long as the server runs. A log
// in a database may be away for a while.
func (v *server) followed() store.LogReader {
	if !v.shared {
		return v.store
	}
	return store.Patient(v.store, func(err error) { v.log.Warn("log is out of reach for now", "err", err) })
}

// hear tells the engine what other nodes write.
func (v *server) hear(ctx context.Context) error {
	if !v.shared {
		return nil
	}
	for batch, err := range store.Subscribe(ctx, v.followed(), v.begun, store.Filter{}) {
		if err != nil {
			return unlessDone(ctx, err)
		}
		for _, recorded := range batch.Events {
			v.engine.Heard(recorded)
		}
	}
	return nil
}

// alone runs a part on one node at a time.
func (v *server) alone(name string, part func(context.Context) error) func(context.Context) error {
	if v.leases == nil {
		return part
	}
	return func(ctx context.Context) error { return v.leases.Hold(ctx, name, part) }
}

// publishEvents publishes from where it was left, by this node or another.
func (v *server) publishEvents(ctx context.Context) error {
	options := bus.EventOptions{Logger: v.log, Limits: bus.EventLimits{MaxAge: v.settings.eventsAge}}
	if v.broker != nil {
		options.Rewind = v.broker.Republish()
	}
	publisher, err := bus.NewEventPublisher(v.conn, v.followed(), &options)
	if err != nil {
		return err
	}
	v.publisher.Store(publisher)
	defer v.publisher.Store(nil)
	return publisher.Run(ctx)
}

// dial connects to the broker that a running server uses.
func (e endpoints) dial(f folder, name string) (*nats.Conn, error) {
	target := broker.Target{URL: e.NATS, Creds: e.Creds, CA: e.CA}
	var err error
	switch {
	case e.TokenFile != "":
		target.Token, err = secretIn(e.TokenFile)
	case !e.External:
		target.Token, err = f.known("bus-token")
	}
	if err != nil {
		return nil, err
	}
	return target.Connect(name, nil)
}
