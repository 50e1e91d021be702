package esdbwire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire"
	"github.com/parley-engine/parley/store/memstore"
)

// told is a message of a read in short: an event's number, or what else it says.
func told(m *streams.ReadResp) string {
	switch c := m.GetContent().(type) {
	case *streams.ReadResp_Event:
		return fmt.Sprint(c.Event.GetEvent().GetStreamRevision())
	case *streams.ReadResp_FirstStreamPosition:
		return fmt.Sprint("first ", c.FirstStreamPosition)
	case *streams.ReadResp_LastStreamPosition:
		return fmt.Sprint("last ", c.LastStreamPosition)
	case *streams.ReadResp_StreamNotFound_:
		return "not found"
	case *streams.ReadResp_Confirmation:
		return "confirmation"
	case *streams.ReadResp_CaughtUp_:
		return "caught up"
	}
	return fmt.Sprintf("%T", m.GetContent())
}

// reads returns all that a call answers, and how it ends.
func (r raw) reads(o *streams.ReadReq_Options) (list []string, trailer metadata.MD, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
	defer cancel()
	call, err := r.Read(ctx, &streams.ReadReq{Options: o})
	require.NoError(r, err)
	for {
		m, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return list, call.Trailer(), nil
		}
		if err != nil {
			return list, call.Trailer(), err
		}
		list = append(list, told(m))
	}
}

// span is a read of a stream by a client that knows what is said of its ends.
func span(stream string, count uint64, backwards bool, from any) *streams.ReadReq_Options {
	at := &streams.ReadReq_Options_StreamOptions{StreamIdentifier: named(stream)}
	switch from := from.(type) {
	case int:
		at.RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: uint64(from)}
	case uint64:
		at.RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: from}
	case string:
		at.RevisionOption = &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}}
		if from == "end" {
			at.RevisionOption = &streams.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}}
		}
	}
	o := &streams.ReadReq_Options{
		StreamOption:  &streams.ReadReq_Options_Stream{Stream: at},
		CountOption:   &streams.ReadReq_Options_Count{Count: count},
		ControlOption: &streams.ReadReq_Options_ControlOption{Compatibility: 1},
	}
	if backwards {
		o.ReadDirection = streams.ReadReq_Options_Backwards
	}
	return o
}

func numbersTo(from, to int) (list []string) {
	for ; from <= to; from++ {
		list = append(list, fmt.Sprint(from))
	}
	return list
}

// Clients in .NET wait for what is said of a stream's end when there was no event. The
// rows are as EventStoreDB answers them.
func TestAReadSaysWhereTheStreamEnds(t *testing.T) {
	log := memstore.New()
	r := rawOn(t, log, false)
	c := writable(t, log)
	cut := func(stream, metadata string) {
		put(t, log, "foreign-"+stream, 0, 10)
		_, err := put2(t, c, "$$"+stream, esdb.Any{}, event("$metadata", metadata))
		require.NoError(t, err)
	}
	put(t, log, "foreign-ten", 0, 10)
	put(t, log, ch, 0, 10)
	cut("max-3", `{"$maxCount":3}`)
	cut("tb-4", `{"$tb":4}`)
	cut("tb-11", `{"$tb":11}`)
	cut("tb-20", `{"$tb":20}`)
	cut("tb-5-max-2", `{"$tb":5,"$maxCount":2}`)
	all := numbersTo(0, 9)
	for _, row := range []struct {
		stream    string
		count     uint64
		backwards bool
		from      any
		want      []string
	}{
		{"ten", 100, false, "start", append(all, "last 9")},
		{"ten", 3, false, "start", []string{"0", "1", "2", "last 9"}},
		{"ten", 3, false, 3, []string{"3", "4", "5", "last 9"}},
		{"ten", 10, false, "start", append(all, "last 9")},
		{"ten", 5, false, 10, []string{"first 10", "last 9"}},
		{"ten", 100, false, 1000, []string{"first 10", "last 9"}},
		{"ten", 100, false, uint64(math.MaxInt64), []string{"first 10", "last 9"}},
		{"ten", 100, false, "end", []string{"first 10", "last 9"}},
		{"ten", 2, true, "end", []string{"9", "8", "last 9"}},
		{"ten", 2, true, 1000, []string{"9", "8", "last 9"}},
		{"ten", 2, true, uint64(math.MaxInt64), []string{"9", "8", "last 9"}},
		{"ten", 2, true, uint64(math.MaxUint64), []string{"9", "8", "last 9"}},
		{"ten", 2, true, "start", []string{"0", "last 9"}},
		{ch, 100, false, "start", append(all, "last 9")},
		{ch, 100, false, 10, []string{"first 10", "last 9"}},
		{ch, 2, false, "start", []string{"0", "1", "last 9"}},
		{ch, 2, true, "end", []string{"9", "8", "last 9"}},
		{"none", 5, false, "start", []string{"not found"}},
		{"none", 5, true, "end", []string{"not found"}},
		{"conversation-none", 5, false, 3, []string{"not found"}},
		{"max-3", 4, false, "start", []string{"first 7", "7", "8", "9", "last 9"}},
		{"max-3", 4, false, 2, []string{"first 7", "7", "8", "9", "last 9"}},
		{"max-3", 100, false, "start", []string{"7", "8", "9", "last 9"}},
		{"max-3", 4, true, "end", []string{"9", "8", "7", "last 9"}},
		{"max-3", 4, true, 5, []string{"last 9"}},
		{"tb-4", 4, false, "start", []string{"first 4", "4", "5", "6", "7", "last 9"}},
		{"tb-4", 4, false, 2, []string{"4", "5", "6", "7", "last 9"}},
		{"tb-11", 4, false, "start", []string{"first 11", "first 10", "last 9"}},
		{"tb-11", 4, false, 2, []string{"first 11", "first 10", "last 9"}},
		{"tb-20", 4, true, "end", []string{"last 9"}},
		{"tb-5-max-2", 4, false, 2, []string{"first 8", "8", "9", "last 9"}},
	} {
		got, _, err := r.reads(span(row.stream, row.count, row.backwards, row.from))
		require.NoError(t, err)
		if row.backwards && row.from == "start" { // the start backwards is before the first event here
			require.Equal(t, "last 9", got[len(got)-1])
			continue
		}
		require.Equal(t, row.want, got, "%+v", row)
		o := span(row.stream, row.count, row.backwards, row.from)
		o.ControlOption = nil
		got, _, err = r.reads(o)
		require.NoError(t, err)
		require.NotContains(t, fmt.Sprint(got), "last", "who does not know the message is not sent it")
		require.NotContains(t, fmt.Sprint(got), "first")
	}
	_, _, err := r.reads(span("ten", 100, false, uint64(1<<63)))
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

// The greatest position is the end: clients have a constant for it.
func TestTheGreatestPositionIsTheEnd(t *testing.T) {
	log := memstore.New()
	fill(t, log, 1, 2)
	r := rawOn(t, log, false)
	at := func(n uint64, direction streams.ReadReq_Options_ReadDirection) *streams.ReadReq_Options {
		return &streams.ReadReq_Options{
			ReadDirection: direction, CountOption: &streams.ReadReq_Options_Count{Count: 3},
			StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Position{
				Position: &streams.ReadReq_Options_Position{CommitPosition: n, PreparePosition: n},
			}}},
		}
	}
	got, _, err := r.reads(at(math.MaxUint64, streams.ReadReq_Options_Backwards))
	require.NoError(t, err)
	require.Equal(t, []string{"3", "2", "1"}, got)
	got, _, err = r.reads(at(math.MaxUint64, streams.ReadReq_Options_Forwards))
	require.NoError(t, err)
	require.Empty(t, got)

	o := at(math.MaxUint64, streams.ReadReq_Options_Forwards)
	o.CountOption = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
	call, err := r.Read(t.Context(), &streams.ReadReq{Options: o})
	require.NoError(t, err)
	for _, want := range []string{"confirmation", "caught up", "4"} {
		m, err := call.Recv()
		require.NoError(t, err)
		require.Equal(t, want, told(m))
		if want == "caught up" {
			put(t, log, "conversation-CH0", 4, 1)
		}
	}
}

func subscribed(stream string, from any) *streams.ReadReq_Options {
	o := span(stream, 1, false, from)
	o.ControlOption = nil
	o.CountOption = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
	return o
}

// A subscription sees the tombstone, at the place that no event has, and ends.
func TestASubscriptionEndsWithItsStream(t *testing.T) {
	const tombstone = "9223372036854775807"
	for _, c := range []struct {
		name string
		from any
		want []string
	}{
		{"there", "start", []string{"confirmation", "0", "1", "2", "caught up", tombstone}},
		{"there", 1, []string{"confirmation", "2", "caught up", tombstone}},
		{"there", "end", []string{"confirmation", "caught up", tombstone}},
		{"there", uint64(math.MaxUint64), []string{"confirmation", "caught up", tombstone}},
		{"missing", "start", []string{"confirmation", "caught up", tombstone}},
	} {
		log := memstore.New()
		put(t, log, "foreign-there", 0, 3)
		address := serve(t, esdbwire.Config{Log: log, Appender: log, Own: events.Categories()})
		r := raw{t, streams.NewStreamsClient(dialRaw(t, address))}
		call, err := r.Read(t.Context(), &streams.ReadReq{Options: subscribed(c.name, c.from)})
		require.NoError(t, err)
		for _, want := range c.want {
			m, err := call.Recv()
			require.NoError(t, err, "%+v", c)
			require.Equal(t, want, told(m), "%+v", c)
			if want == "caught up" {
				code, _ := r.tombstone(&streams.TombstoneReq_Options{StreamIdentifier: named(c.name), ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}}})
				require.Equal(t, codes.OK, code)
			}
		}
		_, err = call.Recv()
		require.Equal(t, codes.FailedPrecondition, status.Code(err))
		require.Equal(t, []string{"stream-deleted"}, call.Trailer().Get("exception"))
		require.Equal(t, []string{c.name}, call.Trailer().Get("stream-name"))

		_, trailer, err := r.reads(subscribed(c.name, "start"))
		require.Equal(t, codes.FailedPrecondition, status.Code(err))
		require.Equal(t, []string{"stream-deleted"}, trailer.Get("exception"))
		later, err := r.Read(t.Context(), &streams.ReadReq{Options: subscribed(c.name, "end")})
		require.NoError(t, err)
		for _, want := range []string{"confirmation", "caught up"} {
			m, err := later.Recv()
			require.NoError(t, err)
			require.Equal(t, want, told(m))
		}
	}
}
