// Package broker runs the NATS server that Parley brings along, and connects to
// it or to any other. The server lives inside the process, listens on loopback
// for clients in any language, and keeps its JetStream streams in a folder of
// its own. With the defaults a publish is acknowledged only after it was
// synced to disk.
package broker

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/parley-engine/parley/internal/bus/access"
)

// maxSubscriptions bounds those of one connection.
const maxSubscriptions = 1 << 16

// DefaultMaxPayload bounds one message on the wire, headers included, in bytes.
const DefaultMaxPayload = 1 << 20

// readyTimeout bounds how long a start may take; reading back a large store is
// the slow part.
const readyTimeout = 30 * time.Second

// marker names the file that says a folder is ours, and in which format.
const (
	marker        = "parley-bus"
	markerContent = "parley bus store, format 1\n"
	unfinished    = ".new" // suffix of a marker that is being written
)

// Errors of Start.
var (
	// ErrForeign says the folder holds files of somebody else.
	ErrForeign = errors.New("folder is not a Parley bus store")
	// ErrLocked says another process has the folder open.
	ErrLocked = errors.New("folder is in use by another process")
	// ErrAddress says the address cannot be listened on.
	ErrAddress = errors.New("cannot listen")
)

// Options are the settings of an embedded server. The zero value listens on a
// random loopback port, without a token, and syncs every write.
type Options struct {
	Address      string         // host:port; port 0 picks one; default 127.0.0.1:0
	Token        string         // opens everything; empty: no client is asked for a token
	Tokens       []access.Token // further ones, which open what they say; for them Token must be given
	SyncInterval time.Duration  // 0: sync before each acknowledgement; else sync this often and risk that much
	MaxPayload   int            // bytes; default DefaultMaxPayload
	MaxStore     int64          // bytes all streams may take; 0: three quarters of the free disk
	// A client that does not read is cut off: when this much waits for it, or a write to it
	// takes that long. Where all clients together have more waiting, those with the most go.
	MaxPending      int64         // bytes; default 16 MiB
	MaxPendingTotal int64         // bytes; default 256 MiB
	WriteDeadline   time.Duration // default 5 s
	Patience        time.Duration // of Stop; default 25 s
	Logger          *slog.Logger  // nil: discard
}

// Server is an embedded NATS server with JetStream. It is safe for concurrent
// use.
type Server struct {
	nats    *server.Server
	doorman *doorman // nil: no client is asked for a token
	unlock  func()
	once    sync.Once
	keeper  *keeper // nil: the server did not start; likewise guard
	guard   *guard
	failed  <-chan error

	patience time.Duration
	log      *slog.Logger
}

// Start opens or creates the store in dir and listens. It returns when clients
// can connect, or with an error that says what to change. The folder is left as
// it was found when it is foreign or in use.
func Start(dir string, o *Options) (*Server, error) {
	opts := withDefaults(o)
	unlock, err := claim(dir)
	if err != nil {
		return nil, err
	}
	s := &Server{unlock: unlock, patience: opts.Patience, log: opts.Logger}
	if err := s.start(dir, opts); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// start mends what the store needs, opens it and lets clients in.
func (s *Server) start(dir string, o Options) (err error) {
	if err := mend(dir, o.Logger); err != nil {
		return err
	}
	if o.Token != "" {
		s.doorman = newDoorman(o.Token, o.Logger)
		defer close(s.doorman.loaded)
	}
	complaints := &complaints{log: o.Logger, fatal: make(chan string, 1), broken: make(chan error, 1)}
	s.failed = complaints.broken
	if s.nats, err = launch(dir, o, s.doorman, complaints); err != nil {
		return err
	}
	s.keeper, s.guard = startKeeper(dir, s.nats, o.Logger, complaints.fail), startGuard(s.nats, o)
	if s.doorman == nil {
		return nil
	}
	s.doorman.server = s.nats
	_, err = s.doorman.admit(o.Tokens)
	return err
}

// Admit makes these tokens, of which it takes the valid ones, the only ones besides
// Options.Token. When it returns, the connections of all others are closed; it tells
// how many there were.
func (s *Server) Admit(tokens []access.Token) (closed int, err error) {
	if s.doorman == nil {
		return 0, nil
	}
	return s.doorman.admit(tokens)
}

// URL is where clients connect: nats://127.0.0.1:4222.
func (s *Server) URL() string { return s.nats.ClientURL() }

// Stop closes all connections, writes what is buffered and releases the folder. A server
// that does not end within Options.Patience is left to the end of the process, and so is
// the folder. It may be called more than once. Callers drain their own work before.
func (s *Server) Stop() {
	s.once.Do(func() {
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			s.stop()
		}()
		select {
		case <-stopped:
		case <-time.After(s.patience):
			s.log.Error("bus server does not stop; it is left to the end of the process", "waited", s.patience)
		}
	})
}

func (s *Server) stop() {
	defer s.unlock()
	if s.keeper != nil {
		s.guard.stop()
		s.keeper.stop()
		defer s.keeper.stopped()
	}
	if s.nats != nil {
		s.nats.Shutdown()
		s.nats.WaitForShutdown()
	}
}

func withDefaults(o *Options) Options {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.Address == "" {
		opts.Address = "127.0.0.1:0"
	}
	if opts.MaxPayload == 0 {
		opts.MaxPayload = DefaultMaxPayload
	}
	opts.MaxPending = cmp.Or(opts.MaxPending, 16<<20)
	opts.MaxPendingTotal = cmp.Or(opts.MaxPendingTotal, 256<<20)
	opts.WriteDeadline = cmp.Or(opts.WriteDeadline, 5*time.Second)
	opts.Patience = cmp.Or(opts.Patience, 25*time.Second)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return opts
}

// claim makes sure the folder is ours, empty or new, and that nobody else has
// it open.
func claim(dir string) (unlock func(), err error) {
	if err := refuseForeign(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create bus store: %w", err)
	}
	unlock, err = lock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("open bus store %s: %w", dir, err)
	}
	if err := mark(dir); err != nil {
		unlock()
		return nil, fmt.Errorf("mark bus store: %w", err)
	}
	return unlock, nil
}

// mark names the folder ours, once and all at once: a start that is cut short
// must not leave half a marker, which the next one would take for a stranger's.
func mark(dir string) error {
	path := filepath.Join(dir, marker)
	if _, err := os.Stat(path); err == nil {
		return nil // refuseForeign has read it
	}
	file, err := os.OpenFile(path+unfinished, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(markerContent)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(path+unfinished, path)
}

func refuseForeign(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && onlyLock(entries) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read bus store: %w", err)
	}
	content, err := os.ReadFile(filepath.Join(dir, marker))
	ours := err == nil && strings.TrimSpace(string(content)) == strings.TrimSpace(markerContent)
	if !ours && slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == "jetstream" }) {
		return fmt.Errorf("%w: %s is missing, damaged, or of another version; where it is not of another version, write %q into it",
			ErrForeign, filepath.Join(dir, marker), strings.TrimSpace(markerContent))
	}
	if !ours {
		return fmt.Errorf("%w: %s holds other files (%s, …); choose an empty folder", ErrForeign, dir, entries[0].Name())
	}
	return nil
}

// onlyLock is an empty folder, or one where a start was cut short between
// locking and marking.
func onlyLock(entries []os.DirEntry) bool {
	return !slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return e.Name() != "lock" && e.Name() != marker+unfinished
	})
}

func launch(dir string, o Options, d *doorman, complaints *complaints) (*server.Server, error) {
	host, port, err := listenable(o.Address)
	if err != nil {
		return nil, err
	}
	settings := serverOptions(dir, host, port, o)
	if d != nil {
		settings.CustomClientAuthentication = d
	}
	ns, err := server.NewServer(settings)
	if err != nil {
		return nil, fmt.Errorf("configure bus: %w", err)
	}
	ns.SetLoggerV2(complaints, false, false, false)
	go ns.Start() // returns once the server's own goroutines run; Stop waits for those
	if err := awaitReady(ns, complaints.fatal); err != nil {
		ns.Shutdown()
		ns.WaitForShutdown()
		return nil, err
	}
	return ns, nil
}

// awaitReady waits for the listener, or for the reason there is none: the
// server reports those only to its log.
func awaitReady(ns *server.Server, fatal <-chan string) error {
	ready := make(chan bool, 1)
	go func() { ready <- ns.ReadyForConnections(readyTimeout) }()
	select {
	case reason := <-fatal:
		return fmt.Errorf("start bus: %s", reason)
	case ok := <-ready:
		if !ok {
			return fmt.Errorf("start bus: not ready after %s", readyTimeout)
		}
	}
	if !ns.JetStreamEnabled() {
		return errors.New("start bus: streams are not available")
	}
	return nil
}

// listenable tries the address before the server does, because the server's
// own answer to a port in use is to keep quiet.
func listenable(address string) (host string, port int, err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", 0, fmt.Errorf("%w on %s: %w", ErrAddress, address, err)
	}
	if err := listener.Close(); err != nil {
		return "", 0, fmt.Errorf("%w on %s: %w", ErrAddress, address, err)
	}
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%w on %s: %w", ErrAddress, address, err)
	}
	port, err = strconv.Atoi(text)
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, err
}

func serverOptions(dir, host string, port int, o Options) *server.Options {
	return &server.Options{
		ServerName:        "parley",
		Host:              host,
		Port:              port,
		JetStream:         true,
		StoreDir:          dir,
		SyncAlways:        o.SyncInterval == 0,
		SyncInterval:      o.SyncInterval,
		MaxPayload:        int32(o.MaxPayload),
		JetStreamMaxStore: o.MaxStore,
		MaxSubs:           maxSubscriptions,
		MaxPending:        o.MaxPending,
		WriteDeadline:     o.WriteDeadline,
		NoSigs:            true,
	}
}

// complaints passes the server's warnings to slog and keeps the first fatal one, and the
// first that says that a stream is closed.
type complaints struct {
	log      *slog.Logger
	fatal    chan string
	broken   chan error
	refusals refusals
}

func (c *complaints) Noticef(string, ...any) {}
func (c *complaints) Debugf(string, ...any)  {}
func (c *complaints) Tracef(string, ...any)  {}

func (c *complaints) Warnf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if ofClient(text) {
		c.refused(text)
	} else if !strings.Contains(text, "Plaintext passwords") {
		c.log.Warn("bus server warns", "detail", text)
	}
}

func (c *complaints) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if ofClient(text) {
		c.refused(text)
		return
	}
	c.log.Error("bus server reports an error", "detail", text)
	c.watch(text)
}

func (c *complaints) Fatalf(format string, v ...any) {
	select {
	case c.fatal <- fmt.Sprintf(format, v...):
	default:
	}
}
