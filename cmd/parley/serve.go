package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/media"
	"github.com/parley-engine/parley/internal/bus/broker"
	"github.com/parley-engine/parley/internal/reactor/guard"
	"github.com/parley-engine/parley/projections"
)

// settings of a server. Durations take Go's form: 90s, 10m.
type settings struct {
	data            string        // folder for everything the server owns
	http            string        // address of health, readiness, metrics and /admin; port 0 picks one
	operations      string        // address of metrics, readiness in detail and /admin; empty: http's
	nats            string        // address of the embedded broker; port 0 picks one
	broker          broker.Target // another broker in place of the embedded one; URL empty: none
	brokerTokenFile string
	store           remote // where the log is, if not in the folder
	node            string // name of this process among others; empty: made up at each start
	media           string // folder of uploads; empty: within the data folder
	esdb            string // address for clients of EventStoreDB; empty: none
	esdbWrite       bool   // which may write streams of their own
	esdbPassword    string // file with the password of their user; empty: the admin token is it
	insecure        bool   // allow addresses that are not loopback, without TLS

	// syncInterval is how often the broker syncs durable commands to disk. Zero
	// syncs each before it is acknowledged; anything else risks that much of
	// acknowledged, not yet handled commands in a power cut.
	syncInterval time.Duration
	// eventsAge is how long published events stay on the bus; the log has all.
	eventsAge time.Duration

	minInactive time.Duration // shortest Inactive timer clients may set; Twilio's is 1m
	minClosed   time.Duration // shortest Closed timer clients may set; Twilio's is 10m
	groupMMS    bool          // allow native group MMS

	tlsCert, tlsKey string  // files; both or none
	acceptLoss      bool    // serve a log that has lost its end
	lossReason      string  // why
	publicURL       string  // the address REST clients use; empty: what they say
	actions         float64 // writes a second, per service and per conversation; 0: no limit
	maxMedia        int64   // bytes of an upload

	channels        string   // file of channel adapters; empty: the simulated carrier alone
	webhookAttempts int      // until a call is parked
	webhookAllow    []string // addresses and networks that webhooks may call though they are not public

	keepFormer time.Duration // the generation that a rebuild replaced
	onPoison   string        // stop or quarantine
	driftCheck time.Duration // between two conversations; 0: none are checked

	patience  time.Duration // for everything that has to end at shutdown
	logLevel  slog.Level
	logFormat string // text or json; default by terminal
}

func serveCommand() *cobra.Command {
	var s settings
	level := "info"
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the engine on a data folder",
		Long: `Run the engine: the log, the read models, the timers, an embedded message broker
and Twilio's REST API, all in one folder. The first start makes an account with its
tokens, and, without --channels, a Messaging Service on a simulated carrier.

The chosen addresses are printed and written to endpoints.json in the folder.
SIGTERM drains and exits with 0; a second signal ends at once.

With OTEL_EXPORTER_OTLP_ENDPOINT set, commands of the bus are traced to that collector.`,
		Example: "  parley serve --data ./data\n  parley serve --data ./data --http 127.0.0.1:8080 --nats 127.0.0.1:4222\n  parley serve --data ./data --webhook-allow 127.0.0.0/8\n  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 parley serve --data ./data",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := s.check(level); err != nil {
				return err
			}
			return serve(c.Context(), s, c.OutOrStdout(), logger(c.ErrOrStderr(), s))
		},
	}
	f := c.Flags()
	f.StringVar(&s.data, "data", ".parley", "data folder")
	f.StringVar(&s.http, "http", "127.0.0.1:0", "address for REST, health, metrics and administration; port 0 picks one")
	f.StringVar(&s.operations, "operations", "", "loopback address for metrics, readiness in detail and administration, which --http then no longer has; port 0 picks one (default: --http)")
	f.StringVar(&s.tlsCert, "tls-cert", "", "file with the certificate chain for --http and --esdb")
	f.StringVar(&s.tlsKey, "tls-key", "", "file with the certificate's private key")
	f.StringVar(&s.publicURL, "public-url", "", "address that REST clients use, as in https://chat.example.com (default: what the request says)")
	f.Float64Var(&s.actions, "actions-per-second", 30, "REST writes a second, per service and per conversation; 0 sets no limit")
	f.Int64Var(&s.maxMedia, "max-media", media.MaxSize, "largest upload, in bytes")
	f.StringVar(&s.broker.URL, "broker", "", "URL of a NATS server with JetStream to use instead of the embedded one, as in tls://nats.example.com:4222; several of a cluster separated by commas")
	f.StringVar(&s.brokerTokenFile, "broker-token-file", "", "file with the token for --broker")
	f.StringVar(&s.broker.Creds, "broker-creds", "", "credentials file for --broker")
	f.StringVar(&s.broker.CA, "broker-ca", "", "file with the certificates that sign the one of --broker (default: the system's)")
	f.StringVar(&s.store.URL, "store", "", "EventStoreDB or KurrentDB that has the log, as in esdb+discover://db.example.com:2113; several nodes can share it (default: log.db in the data folder)")
	f.StringVar(&s.store.Credentials, "store-credentials-file", "", "file with user:password for --store")
	f.StringVar(&s.store.Prefix, "store-prefix", "", "prefix of Parley's streams in a database that others use as well")
	f.StringVar(&s.node, "node", "", "name of this process among those that share a log, of letters, digits, - and _ (default: the host's with a random end)")
	f.StringVar(&s.media, "media", "", "folder of uploads, which several nodes must share (default: media in the data folder)")
	f.StringVar(&s.nats, "nats", "127.0.0.1:0", "address of the embedded broker; port 0 picks one")
	f.StringVar(&s.esdb, "esdb", "", "address at which clients of EventStoreDB and KurrentDB can read the log and subscribe to it; port 0 picks one (default: none)")
	f.BoolVar(&s.esdbWrite, "esdb-write", false, "let those clients also write streams of their own; Parley's streams are written by commands only")
	f.StringVar(&s.esdbPassword, "esdb-password-file", "", "file with the password of those clients' user admin, which PARLEY_ESDB_ADMIN_PASSWORD can hold as well (default: the data folder's admin token)")
	f.BoolVar(&s.insecure, "insecure", false, "allow addresses other than loopback, unencrypted, and --esdb without TLS and password")
	f.DurationVar(&s.syncInterval, "sync-interval", 0, "sync durable commands this often instead of each before its acknowledgement")
	f.DurationVar(&s.eventsAge, "events-max-age", 7*24*time.Hour, "how long published events stay on the bus")
	f.DurationVar(&s.minInactive, "min-inactive-timer", conversation.DefaultLimits.MinInactiveTimer, "shortest Inactive timer that clients may set")
	f.DurationVar(&s.minClosed, "min-closed-timer", conversation.DefaultLimits.MinClosedTimer, "shortest Closed timer that clients may set")
	f.BoolVar(&s.groupMMS, "group-mms", false, "allow native group MMS")
	f.StringVar(&s.channels, "channels", "", "file that says who carries messages outside (default: a simulated carrier; see docs/channels.md)")
	f.IntVar(&s.webhookAttempts, "webhook-attempts", 10, "how often a webhook is called, later and later, until its call is parked; 1 is once, as Twilio does")
	f.StringArrayVar(&s.webhookAllow, "webhook-allow", nil, "address or network, as in 127.0.0.0/8, that webhooks may call though it is not public; repeatable")
	f.DurationVar(&s.keepFormer, "keep-former", time.Hour, "how long the generation that a rebuild replaced is kept caught up for a rollback")
	f.StringVar(&s.onPoison, "on-poison", string(projections.Quarantine), "what an event that the read models cannot apply does: quarantine parks its stream, stop stops them all")
	f.DurationVar(&s.driftCheck, "drift-check", 10*time.Second, "compare one conversation's rows with its events this often; 0 = never")
	f.DurationVar(&s.patience, "shutdown-timeout", 25*time.Second, "how long a shutdown may take")
	f.BoolVar(&s.acceptLoss, "accept-loss", false, "serve a log that has lost its end; what only the read models still have is written to a file first, and that it was accepted is kept in the log")
	f.StringVar(&s.lossReason, "reason", "", "why, for --accept-loss")
	f.StringVar(&level, "log-level", level, "debug, info, warn or error")
	f.StringVar(&s.logFormat, "log-format", "", "text or json (default: text on a terminal)")
	return c
}

// check reports every problem of the settings at once, before anything opens.
func (s *settings) check(level string) error {
	var problems []error
	if err := s.logLevel.UnmarshalText([]byte(level)); err != nil {
		problems = append(problems, fmt.Errorf("--log-level %q: debug, info, warn or error", level))
	}
	if s.logFormat != "" && s.logFormat != "text" && s.logFormat != "json" {
		problems = append(problems, fmt.Errorf("--log-format %q: text or json", s.logFormat))
	}
	problems = append(problems, absolute(&s.channels, &s.tlsCert, &s.brokerTokenFile, &s.broker.Creds, &s.broker.CA, &s.store.Credentials))
	problems = append(problems, s.checkAddress("--http", s.http), s.checkAddress("--nats", s.nats), s.checkESDB(), s.checkNode(), checkLoopback("--operations", s.operations))
	for _, positive := range []struct {
		flag string
		d    time.Duration
	}{
		{"--events-max-age", s.eventsAge}, {"--min-inactive-timer", s.minInactive},
		{"--min-closed-timer", s.minClosed}, {"--shutdown-timeout", s.patience}, {"--keep-former", s.keepFormer},
	} {
		if positive.d <= 0 {
			problems = append(problems, fmt.Errorf("%s must be above zero", positive.flag))
		}
	}
	if (s.tlsCert == "") != (s.tlsKey == "") {
		problems = append(problems, errors.New("--tls-cert and --tls-key belong together"))
	}
	if s.publicURL != "" {
		public, err := publicBase("--public-url", s.publicURL)
		s.publicURL = public
		problems = append(problems, err)
	}
	if s.actions < 0 || s.maxMedia <= 0 || s.maxMedia > media.MaxSize {
		problems = append(problems, fmt.Errorf("--actions-per-second must not be below zero, --max-media is 1 to %d", media.MaxSize))
	}
	if _, err := guard.ParseAllow(s.webhookAllow); err != nil {
		problems = append(problems, fmt.Errorf("--webhook-allow %w", err))
	}
	if s.webhookAttempts < 1 {
		problems = append(problems, errors.New("--webhook-attempts must be above zero"))
	}
	if s.acceptLoss != (strings.TrimSpace(s.lossReason) != "") {
		problems = append(problems, errors.New("--accept-loss and --reason belong together"))
	}
	if s.syncInterval < 0 {
		problems = append(problems, errors.New("--sync-interval must not be below zero"))
	}
	if p := projections.Poison(s.onPoison); p != projections.Stop && p != projections.Quarantine {
		problems = append(problems, fmt.Errorf("--on-poison %q: quarantine or stop", s.onPoison))
	}
	if s.driftCheck < 0 || s.driftCheck > 0 && s.driftCheck < time.Millisecond {
		problems = append(problems, errors.New("--drift-check is 0 or at least 1ms"))
	}
	if err := errors.Join(problems...); err != nil {
		return usage("%v", err)
	}
	return nil
}

// absolute makes paths hold from everywhere: the folder keeps them for commands that
// run elsewhere. Empty ones stay so.
func absolute(paths ...*string) (err error) {
	for _, p := range paths {
		if *p != "" && err == nil {
			*p, err = filepath.Abs(*p)
		}
	}
	return err
}

func (s *settings) checkAddress(flag, address string) error {
	encrypted := flag != "--nats" && s.tlsCert != ""
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s %q is not host:port", flag, address)
	}
	ip := net.ParseIP(host)
	if host != "localhost" && (ip == nil || !ip.IsLoopback()) && !s.insecure && !encrypted {
		return fmt.Errorf("%s %s is not a loopback address: add --insecure if the network in between is yours%s", flag, address, orEncrypt(flag))
	}
	return nil
}

// checkLoopback refuses an address that other machines can reach; nothing allows one.
func checkLoopback(flag, address string) error {
	if address == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s %q is not host:port", flag, address)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s %s is not a loopback address, and it has to be one", flag, address)
	}
	return nil
}

func orEncrypt(flag string) string {
	if flag != "--nats" {
		return ", or --tls-cert and --tls-key"
	}
	return ""
}

func (s *settings) scheme() string {
	if s.tlsCert != "" {
		return "https://"
	}
	return "http://"
}

func logger(w io.Writer, s settings) *slog.Logger {
	options := &slog.HandlerOptions{Level: s.logLevel}
	if s.logFormat == "json" || (s.logFormat == "" && !isTerminal(w)) {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("unexpected argument %q", args[0])
	}
	return nil
}

// serve opens everything, runs until the context ends, and closes everything.
func serve(ctx context.Context, s settings, out io.Writer, log *slog.Logger) error {
	server, err := openServer(ctx, s, log)
	if err != nil {
		return err
	}
	if err := server.announce(out); err != nil {
		return errors.Join(err, server.close())
	}
	err = server.folder.within(server.run(ctx))
	return errors.Join(err, server.close())
}
