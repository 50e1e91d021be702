package smpp

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/linxGnu/gosmpp/pdu"
	"golang.org/x/sync/errgroup"

	"github.com/parley-engine/parley/internal/channels/carrier"
)

// Take is what Listen hands reports to.
type Take = func(context.Context, carrier.Report) error

// Listen stays bound until the context ends; then it waits for the responses
// that are due, unbinds and returns nil. Reports are handed over one after the
// other, in the order in which they came. Only one Listen runs at a time.
func (s *Carrier) Listen(ctx context.Context, take func(context.Context, carrier.Report) error) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.MaxInterval = seconds(s.config.ReconnectSeconds)
	pauses.InitialInterval = min(time.Second, pauses.MaxInterval)
	for ctx.Err() == nil {
		err := s.stay(ctx, take, pauses.Reset)
		if ctx.Err() == nil {
			pause := pauses.NextBackOff()
			s.log.Warn("there is no bond with the SMSC", "address", s.config.Address, "err", err, "pause", pause)
			wait(ctx, pause)
		}
	}
	return nil
}

// stay is one bond from its beginning, when it calls bound, to its end.
func (s *Carrier) stay(ctx context.Context, take Take, bound func()) error {
	l, err := s.connect(ctx)
	if err != nil {
		return err
	}
	bound()
	return s.serve(ctx, l, take)
}

func wait(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// connect dials and binds.
func (s *Carrier) connect(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, seconds(s.config.ResponseSeconds))
	defer cancel()
	var dialer interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = &net.Dialer{}
	if s.tls != nil {
		dialer = &tls.Dialer{Config: s.tls}
	}
	conn, err := dialer.DialContext(ctx, "tcp", s.config.Address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	l := newLink(conn, &s.config)
	if err := l.bind(s.bindRequest()); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return l, nil
}

func (s *Carrier) bindRequest() *pdu.BindRequest {
	r := pdu.NewBindRequest(pdu.Transceiver)
	r.SystemID, r.Password, r.SystemType = s.config.SystemID, s.password, s.config.SystemType
	return r
}

// serve uses a link until it breaks or ctx ends.
func (s *Carrier) serve(ctx context.Context, l *link, take Take) error {
	s.bind(l)
	group, alive := errgroup.WithContext(ctx)
	group.Go(func() error { return l.read(s.log) })
	group.Go(func() error { return l.ping(alive, seconds(s.config.EnquireSeconds)) })
	group.Go(func() error { s.takeAll(ctx, l, take); return nil })
	group.Go(func() error {
		<-alive.Done()
		s.bind(nil)
		if ctx.Err() != nil {
			s.leave(ctx, l)
		}
		_ = l.conn.Close() // which ends read
		return nil
	})
	return group.Wait()
}

// leave waits until no request is without response, for no longer than a response
// may take, and unbinds.
func (s *Carrier) leave(ctx context.Context, l *link) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.patience)
	defer cancel()
	if s.window.Acquire(ctx, int64(s.config.Window)) == nil {
		defer s.window.Release(int64(s.config.Window))
	}
	p := pdu.NewUnbind()
	p.SetSequenceNumber(l.next())
	l.reply(p)
}
