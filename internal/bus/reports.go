package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/parley-engine/parley/internal/engine"
)

// SubjectChannels is where carriers that speak NATS hand over what comes back, as
// requests: parley.channels.<adapter>.inbound and parley.channels.<adapter>.status. The
// reply comes when it is durable.
const SubjectChannels = prefixChannels + "*.*"

const prefixChannels = "parley.channels."

// TakeReport keeps a report. Its errors are *engine.Failure; any other counts as
// internal.
type TakeReport func(ctx context.Context, adapter, kind string, data []byte) error

// ServeReports answers requests until ctx ends, then finishes those under way and
// returns nil. Processes on one broker share them.
func ServeReports(ctx context.Context, nc *nats.Conn, take TakeReport, log *slog.Logger) error {
	requests := make(chan *nats.Msg, 1024)
	sub, err := nc.ChanQueueSubscribe(SubjectChannels, "parley", requests)
	if err != nil {
		return fmt.Errorf("open the door of reports: %w", err)
	}
	for ctx.Err() == nil {
		select {
		case m := <-requests:
			answerReport(ctx, m, take, log)
		case <-ctx.Done():
		}
	}
	if err := sub.Unsubscribe(); err != nil {
		return fmt.Errorf("close the door of reports: %w", err)
	}
	for len(requests) > 0 {
		answerReport(context.WithoutCancel(ctx), <-requests, take, log)
	}
	return nil
}

func answerReport(ctx context.Context, m *nats.Msg, take TakeReport, log *slog.Logger) {
	tokens := strings.Split(m.Subject, ".")
	reply := Reply{OK: true}
	if err := take(ctx, tokens[2], tokens[3], m.Data); err != nil {
		failure := failureOf(err)
		if failure.Kind == engine.KindInternal {
			log.Error("a report was not kept", "subject", m.Subject, "err", err)
		}
		reply = failed(failure)
	}
	if m.Reply == "" {
		return
	}
	body, err := json.Marshal(reply)
	if err == nil {
		err = m.Respond(body)
	}
	if err != nil {
		log.Warn("reply was not sent", "subject", m.Subject, "err", err)
	}
}
