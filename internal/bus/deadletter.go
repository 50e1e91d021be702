package bus

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-engine/parley/internal/bus/pubsub"
)

// DeadLetter is a durable command that could not be handled, as it came.
type DeadLetter struct {
	Sequence  uint64      // of the letter; names it
	Aggregate string      // the lane: an aggregate's id, or the command's id when it had none
	Subject   string      // it came on
	Header    nats.Header // it came with
	Data      []byte      // it came with; nil in lists
	Origin    uint64      // sequence it had among the commands; letters of an aggregate are in this order
	Code      string      // of the last failure; CodeParked: never tried, waits behind another letter
	Error     string      // of the last failure, for people
	Attempts  int         // to handle it, over all redrives
	Redriven  int         // how often it failed again after a redrive
	FirstSeen time.Time   // stored by the commands' stream, UTC
	LastSeen  time.Time   // last attempt, UTC
}

// Behind reports that nothing is known to be wrong with the letter: it only
// keeps its place behind another one, and follows when that is gone.
func (l *DeadLetter) Behind() bool { return l.Code == CodeParked }

// Headers of a letter. The original's are kept under a prefix, so that none of
// them can mean anything on the way.
const (
	headerDead         = "Parley-Dead-"
	headerDeadSubject  = headerDead + "Subject"
	headerDeadOrigin   = headerDead + "Origin"
	headerDeadCode     = headerDead + "Code"
	headerDeadError    = headerDead + "Error"
	headerDeadAttempts = headerDead + "Attempts"
	headerDeadRedriven = headerDead + "Redriven"
	headerDeadFirst    = headerDead + "First-Seen"
	headerDeadLast     = headerDead + "Last-Seen"
	prefixOriginal     = "Original-"
)

// maxErrorText bounds the failure's text in a letter, in bytes.
const maxErrorText = 512

// message writes the letter. Its id makes a repeated write harmless.
func (l *DeadLetter) message() *nats.Msg {
	m := nats.NewMsg(prefixDead + l.Aggregate)
	m.Data = l.Data
	for name, values := range l.Header {
		m.Header[prefixOriginal+name] = values
	}
	for name, value := range map[string]string{
		headerDeadSubject:  l.Subject,
		headerDeadOrigin:   strconv.FormatUint(l.Origin, 10),
		headerDeadCode:     l.Code,
		headerDeadError:    oneLine(l.Error),
		headerDeadAttempts: strconv.Itoa(l.Attempts),
		headerDeadRedriven: strconv.Itoa(l.Redriven),
		headerDeadFirst:    l.FirstSeen.Format(time.RFC3339Nano),
		headerDeadLast:     l.LastSeen.Format(time.RFC3339Nano),
		nats.MsgIdHdr:      fmt.Sprintf("%d@%d-%d", l.Origin, l.FirstSeen.UnixNano(), l.Redriven), // sequences come again in a new stream
	} {
		m.Header.Set(name, value)
	}
	return m
}

func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxErrorText {
		text = text[:maxErrorText]
	}
	for !utf8.ValidString(text) && len(text) > 0 {
		text = text[:len(text)-1]
	}
	return strings.TrimSpace(text)
}

// readLetter reads what message wrote.
func readLetter(sequence uint64, subject string, header nats.Header, data []byte) (DeadLetter, error) {
	l := DeadLetter{
		Sequence: sequence, Aggregate: strings.TrimPrefix(subject, prefixDead), Data: data,
		Subject: header.Get(headerDeadSubject), Code: header.Get(headerDeadCode), Error: header.Get(headerDeadError),
		Header: nats.Header{},
	}
	for name, values := range header {
		if original, ok := strings.CutPrefix(name, prefixOriginal); ok {
			l.Header[original] = values
		}
	}
	var errs [5]error
	l.Origin, errs[0] = strconv.ParseUint(header.Get(headerDeadOrigin), 10, 64)
	l.Attempts, errs[1] = strconv.Atoi(header.Get(headerDeadAttempts))
	l.Redriven, errs[2] = strconv.Atoi(header.Get(headerDeadRedriven))
	l.FirstSeen, errs[3] = time.Parse(time.RFC3339Nano, header.Get(headerDeadFirst))
	l.LastSeen, errs[4] = time.Parse(time.RFC3339Nano, header.Get(headerDeadLast))
	for _, err := range errs {
		if err != nil {
			return DeadLetter{}, fmt.Errorf("dead letter %d: %w", sequence, err)
		}
	}
	return l, nil
}

func letterOf(m *jetstream.RawStreamMsg) (DeadLetter, error) {
	return readLetter(m.Sequence, m.Subject, m.Header, m.Data)
}

// delivery is the command as it came the first time.
func (l *DeadLetter) delivery() *pubsub.Delivery {
	return &pubsub.Delivery{
		Subject: l.Subject, Header: l.Header, Data: l.Data, Key: l.Aggregate,
		Sequence: l.Origin, Delivery: 1, Time: l.FirstSeen,
	}
}
