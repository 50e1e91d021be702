package esdbstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/parley-engine/parley/store"
)

// Options are settings of a store; the zero value works.
type Options struct {
	// Prefix is put before the name of every stream, so that Parley can share a
	// database with others: at most 100 bytes, not beginning with $.
	Prefix string
	// Categories are those of the streams to read, see events.Categories. Nil: all
	// under the prefix, but those of the system.
	Categories []string
	// User and Password are used where the address names none. They need TLS.
	User, Password string
	// MaxAppendBytes is what the server takes as one append; zero is 1 MiB, as a
	// server does that is not told otherwise. Larger ones are refused unsent.
	MaxAppendBytes int
	// Patience is how long a call without a deadline tries again; zero is ten
	// seconds.
	Patience time.Duration
	Logger   *slog.Logger // nil: silent
}

// Store is a log in a database. It is safe for concurrent use.
type Store struct {
	options Options
	links   *links
	news    *news

	ending context.Context // ends when the store is closed
	end    context.CancelFunc

	mu      sync.Mutex
	closed  bool
	writing sync.WaitGroup // appends that have begun
	closing chan struct{}  // closed when Close has done
}

var _ store.Log = (*Store)(nil)

// Open connects to a database: esdb://host:port, several hosts with commas, or
// esdb+discover:// with hosts that know the leader; settings as in EventStoreDB's
// connection strings. It fails when the database cannot be read now, with a reason:
// nobody there, a certificate that does not hold, a user who is not known. The
// context bounds the opening only.
func Open(ctx context.Context, url string, o *Options) (*Store, error) {
	a, err := parse(url)
	if err != nil {
		return nil, err
	}
	s := &Store{closing: make(chan struct{})}
	if o != nil {
		s.options = *o
	}
	if err := s.fill(a); err != nil {
		return nil, err
	}
	s.ending, s.end = context.WithCancel(context.Background())
	s.links = newLinks(a, s.options.Logger)
	s.news = newNews(s)
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	if _, err := s.findHead(ctx); err != nil {
		_ = s.Close() // the reason matters more
		return nil, fmt.Errorf("database at %s: %w", strings.Join(a.hosts, ","), err)
	}
	return s, nil
}

// openPatience bounds the first contact. Whoever starts wants to know soon that an
// address is wrong.
const openPatience = 5 * time.Second

const maxPrefix = 100

func (s *Store) fill(a *address) error {
	o := &s.options
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxAppendBytes <= 0 {
		o.MaxAppendBytes = 1 << 20
	}
	if o.Patience <= 0 {
		o.Patience = 10 * time.Second
	}
	if a.user == "" {
		a.user, a.password = o.User, o.Password
	}
	if a.user != "" && a.tls == nil {
		return errors.New("address of the database: user and password would go in clear text without TLS")
	}
	if len(o.Prefix) > maxPrefix || strings.HasPrefix(o.Prefix, "$") {
		return fmt.Errorf("prefix %.40q: at most %d bytes, not beginning with $", o.Prefix, maxPrefix)
	}
	return nil
}

// grace is how long Close waits for appends that have begun.
const grace = 5 * time.Second

// Close ends all reads and waits, lets appends that have begun finish, for at most
// five seconds, and closes the connection.
func (s *Store) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		<-s.closing
		return nil
	}
	defer close(s.closing)
	finished := make(chan struct{})
	go func() { s.writing.Wait(); close(finished) }() // ends with the appends, which end below at the latest
	select {
	case <-finished:
	case <-time.After(grace):
	}
	s.end()
	s.links.close()
	<-finished
	s.news.wait()
	return nil
}

// begin admits an append, unless the store is closed.
func (s *Store) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	s.writing.Add(1)
	return nil
}

func (s *Store) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// bound is a context that also ends with the store.
func (s *Store) bound(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ending, cancel)
	return ctx, func() { stop(); cancel() }
}

// again calls f until it succeeds, fails for good, or the time is over: that of the
// context, or the store's patience.
func (s *Store) again(ctx context.Context, f func(*link) error) error {
	until := time.Now().Add(s.options.Patience)
	for n := 0; ; n++ {
		used, err := s.links.get(ctx)
		if err == nil {
			if err = f(used); err == nil {
				return nil
			}
			if isTrouble(err) && s.links.address.discover {
				s.links.drop(used) // another may lead
			}
		}
		if !isTrouble(err) || time.Now().After(until) || pause(ctx, n) != nil {
			return err
		}
	}
}
