package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoLetter says that there is no dead letter with the sequence.
var ErrNoLetter = errors.New("no such dead letter")

// headerRedrive marks a message without a body that asks for the letter with
// this sequence to be handled. The letter itself stays until that is done.
const headerRedrive = "Parley-Redrive"

// DeadLetters lists, redrives and discards. It needs nothing but a connection,
// so it works against a running server as well as against a broker that was
// started for it; redriven letters then wait for the next server. It is safe
// for concurrent use.
type DeadLetters struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
	fixed  error // what is wrong with the stream's settings; its letters can be read all the same
}

// OpenDeadLetters makes the stream if it is missing. The connection stays the
// caller's.
func OpenDeadLetters(ctx context.Context, nc *nats.Conn) (*DeadLetters, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open dead letters: %w", err)
	}
	stream, err := provision(ctx, js, deadConfig())
	if err != nil && !errors.Is(err, errFixed) {
		return nil, err
	}
	return &DeadLetters{nc: nc, js: js, stream: stream, fixed: err}, nil
}

// Depth is how many letters there are, and when the oldest was written; zero without any.
func (d *DeadLetters) Depth(ctx context.Context) (letters uint64, oldest time.Time, err error) {
	info, err := d.stream.Info(ctx)
	if err != nil {
		return 0, oldest, fmt.Errorf("count dead letters: %w", err)
	}
	if info.State.Msgs > 0 {
		oldest = info.State.FirstTime
	}
	return info.State.Msgs, oldest, nil
}

// List returns the letters of one aggregate, or of all with "", in the order in
// which they were written, without their bodies. At most limit; 0 means all.
func (d *DeadLetters) List(ctx context.Context, aggregate string, limit int) ([]DeadLetter, error) {
	subject := SubjectDead
	if aggregate != "" {
		subject = prefixDead + aggregate
	}
	consumer, err := d.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		FilterSubject: subject, HeadersOnly: true, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	info := consumer.CachedInfo()
	n := int(info.NumPending)
	if limit > 0 {
		n = min(n, limit)
	}
	letters, err := readLetters(ctx, consumer, n)
	if deleteErr := d.stream.DeleteConsumer(ctx, info.Name); err == nil && deleteErr != nil {
		err = fmt.Errorf("list dead letters: %w", deleteErr)
	}
	return letters, err
}

// lastOrigin is the highest sequence that a letter had among the commands; 0: none.
func (d *DeadLetters) lastOrigin(ctx context.Context) (last uint64, err error) {
	letters, err := d.List(ctx, "", 0)
	for _, l := range letters {
		last = max(last, l.Origin)
	}
	return last, err
}

// listBatch bounds one fetch of a list.
const listBatch = 500

func readLetters(ctx context.Context, consumer jetstream.Consumer, n int) ([]DeadLetter, error) {
	letters := make([]DeadLetter, 0, n)
	for len(letters) < n && ctx.Err() == nil {
		batch, err := consumer.Fetch(min(n-len(letters), listBatch), jetstream.FetchMaxWait(time.Second))
		if err != nil {
			return nil, fmt.Errorf("list dead letters: %w", err)
		}
		got := 0
		for m := range batch.Messages() {
			got++
			letter, err := listedLetter(m)
			if err != nil {
				return nil, err
			}
			letters = append(letters, letter)
		}
		if got == 0 {
			return letters, batch.Error() // some were discarded meanwhile
		}
	}
	return letters, ctx.Err()
}

func listedLetter(m jetstream.Msg) (DeadLetter, error) {
	meta, err := m.Metadata()
	if err != nil {
		return DeadLetter{}, fmt.Errorf("list dead letters: %w", err)
	}
	return readLetter(meta.Sequence.Stream, m.Subject(), m.Headers(), nil)
}

// Get returns one letter with its body, or ErrNoLetter.
func (d *DeadLetters) Get(ctx context.Context, sequence uint64) (DeadLetter, error) {
	m, err := d.stream.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return DeadLetter{}, fmt.Errorf("%w: %d", ErrNoLetter, sequence)
	}
	if err != nil {
		return DeadLetter{}, fmt.Errorf("read dead letter %d: %w", sequence, err)
	}
	return letterOf(m)
}

// Redrive asks for one letter to be handled again and returns when the request
// is durable. Letters of an aggregate are handled only in order: while an
// earlier one is there the request does nothing. What waits behind the letter
// follows by itself. The letter goes away when it was handled or refused; when
// it fails again it stays, with Redriven one higher.
func (d *DeadLetters) Redrive(ctx context.Context, sequence uint64) error {
	letter, err := d.Get(ctx, sequence)
	if err != nil {
		return err
	}
	return d.request(ctx, &letter, "")
}

// RedriveAggregate redrives all letters of an aggregate in order and returns
// how many there were.
func (d *DeadLetters) RedriveAggregate(ctx context.Context, aggregate string) (int, error) {
	letters, err := d.List(ctx, aggregate, 0)
	if err != nil {
		return 0, err
	}
	inOrder(letters)
	for i := range letters {
		if err := d.request(ctx, &letters[i], ""); err != nil {
			return i, err
		}
	}
	return len(letters), nil
}

// request writes the redrive behind what the aggregate already has to do.
func (d *DeadLetters) request(ctx context.Context, l *DeadLetter, replyTo string) error {
	m := nats.NewMsg(prefixSend + l.Aggregate)
	m.Header.Set(headerRedrive, strconv.FormatUint(l.Sequence, 10))
	if replyTo != "" {
		m.Header.Set(HeaderReplyTo, replyTo)
	}
	if _, err := d.js.PublishMsg(ctx, m); err != nil {
		return fmt.Errorf("redrive dead letter %d: %w", l.Sequence, err)
	}
	return nil
}

// Discard deletes one letter for good. What waited behind it follows.
func (d *DeadLetters) Discard(ctx context.Context, sequence uint64) error {
	letter, err := d.Get(ctx, sequence)
	if err != nil {
		return err
	}
	if err := d.remove(ctx, sequence); err != nil {
		return err
	}
	rest, err := d.List(ctx, letter.Aggregate, 0)
	if err != nil || len(rest) == 0 {
		return err
	}
	inOrder(rest)
	if !rest[0].Behind() {
		return nil
	}
	return d.request(ctx, &rest[0], "")
}

// DiscardAggregate deletes all letters of an aggregate for good and returns how
// many there were.
func (d *DeadLetters) DiscardAggregate(ctx context.Context, aggregate string) (int, error) {
	letters, err := d.List(ctx, aggregate, 0)
	if err != nil {
		return 0, err
	}
	for i, l := range letters {
		if err := d.remove(ctx, l.Sequence); err != nil {
			return i, err
		}
	}
	return len(letters), nil
}

// remove deletes a letter; one that is gone already is no error.
func (d *DeadLetters) remove(ctx context.Context, sequence uint64) error {
	err := d.stream.DeleteMsg(ctx, sequence)
	if err == nil || errors.Is(err, jetstream.ErrMsgNotFound) || isNotFound(err) {
		return nil
	}
	return fmt.Errorf("delete dead letter %d: %w", sequence, err)
}

// isNotFound recognises the answer to deleting what is gone, for which the
// client library has no error of its own.
func isNotFound(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeMessageNotFound || api.ErrorCode == errCodeDeleteFailed)
}

// errCodeDeleteFailed is JSStreamMsgDeleteFailedF of the server.
const errCodeDeleteFailed = jetstream.ErrorCode(10057)

// write keeps a letter and returns its sequence.
func (d *DeadLetters) write(ctx context.Context, l *DeadLetter) (uint64, error) {
	ack, err := d.js.PublishMsg(ctx, l.message())
	if err != nil {
		return 0, fmt.Errorf("write dead letter: %w", err)
	}
	return ack.Sequence, nil
}
