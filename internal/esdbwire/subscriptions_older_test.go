package esdbwire_test

import (
	"math"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire"
	"github.com/parley-engine/parley/store/memstore"
)

// usual are settings as clients send them.
func usual() *persistent.CreateReq_Settings {
	return &persistent.CreateReq_Settings{
		MaxRetryCount: 10, MinCheckpointCount: 10, MaxCheckpointCount: 1000, LiveBufferSize: 500, ReadBatchSize: 20, HistoryBufferSize: 500,
		MessageTimeout:  &persistent.CreateReq_Settings_MessageTimeoutMs{MessageTimeoutMs: 30_000},
		CheckpointAfter: &persistent.CreateReq_Settings_CheckpointAfterMs{CheckpointAfterMs: 2000},
	}
}

func usualUpdate() *persistent.UpdateReq_Settings {
	return &persistent.UpdateReq_Settings{
		MaxRetryCount: 3, MinCheckpointCount: 10, MaxCheckpointCount: 1000, LiveBufferSize: 500, ReadBatchSize: 20, HistoryBufferSize: 500,
		MessageTimeout:  &persistent.UpdateReq_Settings_MessageTimeoutMs{MessageTimeoutMs: 30_000},
		CheckpointAfter: &persistent.UpdateReq_Settings_CheckpointAfterMs{CheckpointAfterMs: 2000},
	}
}

// The form of a request before there were groups of $all: the stream beside the group's
// name, the revision in the settings. Clients in Node and .NET send it for streams.
func TestTheOlderFormOfAGroupIsUnderstood(t *testing.T) {
	log := memstore.New()
	put(t, log, ch, 0, 5)
	c := persistent.NewPersistentSubscriptionsClient(dialRaw(t, serve(t, esdbwire.Config{Log: log, Appender: log, Own: events.Categories()})))
	from := func(group string) string {
		info, err := c.GetInfo(t.Context(), &persistent.GetInfoReq{Options: &persistent.GetInfoReq_Options{
			StreamOption: &persistent.GetInfoReq_Options_StreamIdentifier{StreamIdentifier: named(ch)}, GroupName: group,
		}})
		require.NoError(t, err)
		return info.GetSubscriptionInfo().GetStartFrom()
	}
	for group, row := range map[string]struct {
		revision uint64
		from     string
		first    int // -1: none of what is there
	}{
		"start": {0, "0", 0}, "middle": {2, "2", 2}, "end": {math.MaxUint64, "-1", -1}, "beyond": {math.MaxInt64, "9223372036854775807", -1},
	} {
		settings := usual()
		settings.Revision = row.revision //nolint:staticcheck // what clients send
		settings.NamedConsumerStrategy = persistent.CreateReq_DispatchToSingle
		create := &persistent.CreateReq{Options: &persistent.CreateReq_Options{StreamIdentifier: named(ch), GroupName: group, Settings: settings}} //nolint:staticcheck // what clients send
		_, err := c.Create(t.Context(), create)
		require.NoError(t, err)
		require.Equal(t, row.from, from(group))
		_, err = c.Create(t.Context(), create)
		require.Equal(t, codes.AlreadyExists, status.Code(err))
		requireFirst(t, c, group, row.first)
	}
	for _, row := range []struct {
		revision uint64
		from     string
	}{{4, "4"}, {math.MaxUint64, "-1"}, {0, "0"}} {
		settings := usualUpdate()
		settings.Revision = row.revision                                                                                                             //nolint:staticcheck // what clients send
		update := &persistent.UpdateReq{Options: &persistent.UpdateReq_Options{StreamIdentifier: named(ch), GroupName: "start", Settings: settings}} //nolint:staticcheck // likewise
		_, err := c.Update(t.Context(), update)
		require.NoError(t, err)
		require.Equal(t, row.from, from("start"))
		update.Options.GroupName = "nobody"
		_, err = c.Update(t.Context(), update)
		require.Equal(t, codes.NotFound, status.Code(err))
	}
	settings := usual()
	settings.Revision = 1 << 63                                                                                                             //nolint:staticcheck // likewise
	far := &persistent.CreateReq{Options: &persistent.CreateReq_Options{StreamIdentifier: named(ch), GroupName: "far", Settings: settings}} //nolint:staticcheck // likewise
	_, err := c.Create(t.Context(), far)
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

// requireFirst joins a group and looks at the first event that it is given, if it is to
// be given one.
func requireFirst(t *testing.T, c persistent.PersistentSubscriptionsClient, group string, first int) {
	t.Helper()
	call, err := c.Read(t.Context())
	require.NoError(t, err)
	require.NoError(t, call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: &persistent.ReadReq_Options{
		StreamOption: &persistent.ReadReq_Options_StreamIdentifier{StreamIdentifier: named(ch)}, GroupName: group, BufferSize: 10,
	}}}))
	resp, err := call.Recv()
	require.NoError(t, err)
	require.NotNil(t, resp.GetSubscriptionConfirmation())
	if first >= 0 {
		resp, err = call.Recv()
		require.NoError(t, err)
		require.Equal(t, uint64(first), resp.GetEvent().GetEvent().GetStreamRevision())
	}
	require.NoError(t, call.CloseSend())
}

// Where both forms are given, the newer one counts.
func TestTheNewerFormOfAGroupCounts(t *testing.T) {
	log := memstore.New()
	c := persistent.NewPersistentSubscriptionsClient(dialRaw(t, serve(t, esdbwire.Config{Log: log, Appender: log, Own: events.Categories()})))
	settings := usual()
	settings.Revision = 7 //nolint:staticcheck // what clients send
	_, err := c.Create(t.Context(), &persistent.CreateReq{Options: &persistent.CreateReq_Options{
		StreamIdentifier: named("order-old"), GroupName: group, Settings: settings, //nolint:staticcheck // likewise
		StreamOption: &persistent.CreateReq_Options_Stream{Stream: &persistent.CreateReq_StreamOptions{
			StreamIdentifier: named("order-new"), RevisionOption: &persistent.CreateReq_StreamOptions_Revision{Revision: 3},
		}},
	}})
	require.NoError(t, err)
	info, err := c.GetInfo(t.Context(), &persistent.GetInfoReq{Options: &persistent.GetInfoReq_Options{
		StreamOption: &persistent.GetInfoReq_Options_StreamIdentifier{StreamIdentifier: named("order-new")}, GroupName: group,
	}})
	require.NoError(t, err)
	require.Equal(t, "3", info.GetSubscriptionInfo().GetStartFrom())
}
