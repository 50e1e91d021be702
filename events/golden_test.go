package events_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
)

var update = flag.Bool("update", false, "rewrite the golden files; a changed one is a storage change")

const goldenFolder = "testdata/golden"

// golden is one stored event as a file.
type golden struct {
	ID       events.ID       `json:"id"`
	Type     string          `json:"type"`
	Stream   string          `json:"stream"`
	Revision uint64          `json:"revision"`
	Position events.Position `json:"position"`
	Recorded time.Time       `json:"recorded"`
	Metadata json.RawMessage `json:"metadata"`
	Data     json.RawMessage `json:"data"`
	// Today is what the payload of a former version is read as.
	Today json.RawMessage `json:"today,omitempty"`
}

var (
	goldenInstant  = time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
	goldenCommand  = events.NameID("golden")
	goldenMetadata = events.Metadata{
		Occurred: goldenInstant.Add(-time.Second), Account: sidOf("AC"), Service: sidOf("IS"),
		Actor: events.Actor{Kind: events.ActorUser, ID: "ada"}, Command: "conversation.update", CommandID: goldenCommand,
		CommandHash: strings.Repeat("5d", 32), Correlation: "ticket-1", Causation: "message-2",
		Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Webhooks: true,
	}
)

func sidOf(prefix string) string { return prefix + strings.Repeat("0a", 16) }

// Every type, of today and of former versions, has a golden file, and every
// file has a type.
func TestGoldenFilesAndTypesMatch(t *testing.T) {
	var files []string
	found, err := filepath.Glob(filepath.Join(goldenFolder, "*.json"))
	require.NoError(t, err)
	for _, path := range found {
		files = append(files, strings.TrimSuffix(filepath.Base(path), ".json"))
	}
	if *update {
		t.Skip("the files are being rewritten")
	}
	require.ElementsMatch(t, slices.Concat(events.Vocabulary().Types(), events.FormerTypes()), files)
}

// What was stored is read, and what is written is what was stored.
func TestGoldenEventsAreReadAndWrittenUnchanged(t *testing.T) {
	for _, name := range events.Vocabulary().Types() {
		t.Run(name, func(t *testing.T) {
			want := sample(t, name)
			if *update {
				writeGolden(t, name, wrap(t, name, want))
			}
			stored := readGolden(t, name)
			require.Equal(t, name, stored.Type)

			got, err := events.Vocabulary().Decode(name, stored.Data)
			require.NoError(t, err)
			require.Equal(t, want, got)
			_, data, err := events.Vocabulary().Encode(got)
			require.NoError(t, err)
			require.Equal(t, compact(t, stored.Data), string(data))
			requireEnvelope(t, stored)
		})
	}
}

// A former version is read as today's event; its own bytes never change.
func TestGoldenEventsOfFormerVersionsAreReadAsTodays(t *testing.T) {
	for _, name := range events.FormerTypes() {
		t.Run(name, func(t *testing.T) {
			stored := readGolden(t, name)
			e, err := events.Vocabulary().Decode(name, stored.Data)
			require.NoError(t, err)
			current, data, err := events.Vocabulary().Encode(e)
			require.NoError(t, err)
			require.Greater(t, events.SchemaVersion(current), events.SchemaVersion(name))
			if *update {
				stored.Today = data
				writeGolden(t, name, stored)
				return
			}
			require.Equal(t, compact(t, stored.Today), string(data))
			requireEnvelope(t, stored)
		})
	}
}

// An event without its optional fields comes back as it was, too.
func TestZeroEventsAreReadAndWrittenUnchanged(t *testing.T) {
	for _, name := range events.Vocabulary().Types() {
		zero, ok := events.Vocabulary().Zero(name)
		require.True(t, ok)
		_, data, err := events.Vocabulary().Encode(zero)
		require.NoError(t, err)
		got, err := events.Vocabulary().Decode(name, data)
		require.NoError(t, err)
		require.Equal(t, zero, got, name)
	}
}

func requireEnvelope(t *testing.T, stored golden) {
	t.Helper()
	var m events.Metadata
	require.NoError(t, json.Unmarshal(stored.Metadata, &m))
	require.Equal(t, goldenMetadata, m)
	require.Equal(t, compact(t, stored.Metadata), string(events.AppendMetadata(nil, m)))
	require.Equal(t, events.EventID(goldenCommand, 0), stored.ID)
	require.Equal(t, events.Position{Commit: 43, Prepare: 42}, stored.Position)
	category, _, ok := events.SplitStream(stored.Stream)
	require.True(t, ok)
	require.Truef(t, strings.HasPrefix(stored.Type, category+"."), "%s in %s", stored.Type, stored.Stream)
}

func wrap(t *testing.T, name string, e events.Event) golden {
	t.Helper()
	_, data, err := events.Vocabulary().Encode(e)
	require.NoError(t, err)
	category, _, _ := strings.Cut(name, ".")
	return golden{
		ID: events.EventID(goldenCommand, 0), Type: name, Stream: events.Stream(category, streamIDs[category]),
		Revision: 7, Position: events.Position{Commit: 43, Prepare: 42}, Recorded: goldenInstant,
		Metadata: events.AppendMetadata(nil, goldenMetadata), Data: data,
	}
}

var streamIDs = map[string]string{
	events.CategoryConversation: sidOf("CH"), events.CategoryService: sidOf("IS"), events.CategoryUser: sidOf("US"),
	events.CategoryRole: sidOf("RL"), events.CategoryAccount: sidOf("AC"),
	events.CategoryReservation: "identity:" + strings.Repeat("0b", 32),
	events.CategoryAPIKey:      sidOf("SK"), events.CategoryCredential: sidOf("CR"), events.CategoryBinding: sidOf("BS"),
	events.CategoryAddress: sidOf("IG"), events.CategoryMedia: sidOf("ME"), events.CategoryForeign: "order-1815",
}

func readGolden(t testing.TB, name string) (g golden) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(goldenFolder, name+".json"))
	require.NoError(t, err, "run make golden after adding a type")
	require.NoError(t, json.Unmarshal(data, &g))
	return g
}

func writeGolden(t *testing.T, name string, g golden) {
	t.Helper()
	data, err := json.MarshalIndent(g, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(goldenFolder, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(goldenFolder, name+".json"), append(data, '\n'), 0o644))
}

func compact(t *testing.T, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, json.Compact(&b, data))
	return b.String()
}

// sample returns an event of the type with every field set to something a
// reader of the docs understands.
func sample(t *testing.T, name string) events.Event {
	t.Helper()
	zero, ok := events.Vocabulary().Zero(name)
	require.True(t, ok)
	v := reflect.New(reflect.TypeOf(zero)).Elem()
	fill(t, v)
	return v.Interface().(events.Event)
}

func fill(t *testing.T, object reflect.Value) {
	t.Helper()
	for f, v := range object.Fields() {
		name := jsonName(f)
		require.NotEmpty(t, name, "%s.%s needs a JSON name", object.Type(), f.Name)
		set(t, name, v)
	}
}

func set(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	switch x := v.Addr().Interface().(type) {
	case *string:
		require.Contains(t, sampleTexts, name, "%s needs a sample", name)
		*x = sampleTexts[name]
	case *[]string:
		require.Contains(t, sampleTexts, name, "%s needs a sample", name)
		*x = []string{sampleTexts[name]}
	case *[]byte:
		*x = []byte{0xff, 0x00, 0x2a}
	case *time.Time:
		*x = goldenInstant
	case *bool:
		*x = true
	case *int:
		*x = 30003
	case *int64:
		*x = 41
	case **int64:
		*x = new(int64(41))
	case *[]events.Media:
		*x = make([]events.Media, 1)
		fill(t, reflect.ValueOf(*x).Index(0))
	default:
		require.Equal(t, reflect.Struct, v.Kind(), "%s is of a new kind", name)
		fill(t, v)
	}
}

var sampleTexts = map[string]string{
	"predecessor": sidOf("CH"), "successor": sidOf("CH"),
	"conversation": sidOf("CH"), "account": sidOf("AC"), "service": sidOf("IS"), "participant": sidOf("MB"),
	"message": sidOf("IM"), "user": sidOf("US"), "role": sidOf("RL"), "receipt": sidOf("DY"), "media": sidOf("ME"),
	"messaging_service": sidOf("MG"), "content": sidOf("HX"), "webhook_sid": sidOf("WH"), "flow_sid": sidOf("FW"),
	"channel_message": sidOf("SM"), "recipients": sidOf("MB"), "creator_role": sidOf("RL"),
	"conversation_role": sidOf("RL"), "service_role": sidOf("RL"), "default_service": sidOf("IS"),
	"default_messaging_service": sidOf("MG"), "friendly_name": "Order 1815", "unique_name": "order-1815",
	"action": events.TimerPostponed, "operator_reason": "waiting for the parcel", "attributes": `{"priority":"high"}`, "state": events.StateActive, "from": events.StateActive,
	"to": events.StateInactive, "reason": events.ReasonTimer, "inactive": "PT1H", "closed": "P1D",
	"address": "+15005550006", "proxy_address": "+15005550009", "projected_address": "+15005550010",
	"name": "Support", "created_by": "ada", "identity": "ada", "author": "ada", "type": "sms", "level": "muted",
	"body": "Grüße <b>& \"more\"</b>\n\u2028", "subject": "About your order", "content_variables": `{"1":"Ada"}`,
	"content_type": "image/png", "filename": "parcel.png", "status": events.DeliveryFailed, "target": "webhook",
	"url": "https://example.com/hook?a=1&b=2", "method": "POST", "filters": "onMessageAdded", "triggers": "help",
	"senders": "+15005550009", "permissions": "sendMessage", "kind": "identity", "holder": "user-" + sidOf("US"),
	"parent": sidOf("AC"), "api_key": sidOf("SK"), "hash": "sha256$" + strings.Repeat("5d", 32), "sealed": "c2VhbGVk",
	"credential": sidOf("CR"), "binding_sid": sidOf("BS"), "endpoint": "device-1", "message_types": "new_message",
	"template": "${PARTICIPANT}: ${MESSAGE}", "sound": "ping", "address_configuration": sidOf("IG"), "country": "DE",
	"webhook_url": "https://example.com/auto", "webhook_method": "post", "webhook_filters": "onMessageAdded",
	"studio_flow": sidOf("FW"), "pre_webhook_url": "https://example.com/pre", "post_webhook_url": "https://example.com/post",
	"log_end": "1815", "seen": "1842", "seen_by": "read/main-v3-g2.db", "operator": "ada@db1", "rescued": "rescued-20261201T120000Z.jsonl",
	"data": `{"order":1815}`, "metadata": `{"$correlationId":"ticket-1"}`,
	"media_sid": sidOf("ME"), "sha256": strings.Repeat("9a", 32),
	"ref": sidOf("US"), "reservation": "reservation-identity:" + strings.Repeat("0b", 32), "taker": "user-" + sidOf("US"),
}
