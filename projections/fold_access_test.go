package projections_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
)

func TestAPIKeyRows(t *testing.T) {
	history := []events.Event{
		events.APIKeyCreated{APIKey: sk, Account: account, FriendlyName: "K", Hash: "sha256$00", Sealed: "x", At: minute(0)},
		events.APIKeySecretReplaced{Hash: "sha256$01", Sealed: "y", At: minute(1)},
	}
	key, err := given(t, history...).APIKey(t.Context(), sk)
	require.NoError(t, err)
	require.Equal(t, []string{sk, account, "K"}, []string{key.Sid, key.AccountSid, key.FriendlyName})
	require.Equal(t, minute(0), key.DateCreated)
	require.Equal(t, minute(1), key.DateUpdated)
	require.Equal(t, uint64(1), key.LastRevision)
	require.Equal(t, events.At(2), key.Position)

	_, err = given(t, append(history, events.APIKeyRevoked{At: minute(2)})...).APIKey(t.Context(), sk)
	require.ErrorIs(t, err, projections.ErrNotFound)
}

func TestCredentialRows(t *testing.T) {
	history := []events.Event{
		events.CredentialCreated{Credential: cr, Account: account, Type: events.PushAPN, FriendlyName: "C", Sandbox: true, Sealed: "x", At: minute(0)},
		events.CredentialUpdated{Type: events.PushFCM, At: minute(1)},
	}
	c, err := given(t, history[:1]...).Credential(t.Context(), cr)
	require.NoError(t, err)
	require.Equal(t, []string{cr, account, "C", events.PushAPN}, []string{c.Sid, c.AccountSid, c.FriendlyName, c.Type})
	require.True(t, c.Sandbox)
	c, err = given(t, history...).Credential(t.Context(), cr)
	require.NoError(t, err)
	require.Equal(t, []string{"", events.PushFCM}, []string{c.FriendlyName, c.Type})
	require.False(t, c.Sandbox)
	require.Equal(t, minute(1), c.DateUpdated)

	_, err = given(t, append(history, events.CredentialRemoved{At: minute(2)})...).Credential(t.Context(), cr)
	require.ErrorIs(t, err, projections.ErrNotFound)
}

func TestPushBindingRows(t *testing.T) {
	history := []events.Event{
		events.BindingCreated{Binding: bs, Account: account, Service: service, Identity: "alba", Credential: cr, Type: events.PushAPN,
			Endpoint: "device-1", MessageTypes: []string{"new_message"}, At: minute(0)},
		events.BindingUpdated{MessageTypes: []string{"removed_from_conversation"}, At: minute(1)},
	}
	b, err := given(t, history[:1]...).PushBinding(t.Context(), bs)
	require.NoError(t, err)
	require.Equal(t, []string{bs, account, service, "alba", cr, events.PushAPN, "device-1"},
		[]string{b.Sid, b.AccountSid, b.ChatServiceSid, b.Identity, b.CredentialSid, b.BindingType, b.Endpoint})
	b, err = given(t, history...).PushBinding(t.Context(), bs)
	require.NoError(t, err)
	require.Empty(t, b.CredentialSid)
	require.Equal(t, []string{"removed_from_conversation"}, b.MessageTypes)
	require.Equal(t, minute(1), b.DateUpdated)

	_, err = given(t, append(history, events.BindingRemoved{At: minute(2)})...).PushBinding(t.Context(), bs)
	require.ErrorIs(t, err, projections.ErrNotFound)
}

func TestAddressConfigurationRows(t *testing.T) {
	auto := events.AutoCreation{Enabled: true, Type: "webhook", WebhookURL: "https://a.example", WebhookFilters: []string{"onMessageAdded"}}
	history := []events.Event{
		events.AddressConfigurationCreated{AddressConfiguration: ig, Account: account, Type: "sms", Address: "+15551", FriendlyName: "A",
			Country: "US", AutoCreation: auto, At: minute(0)},
		events.AddressConfigurationUpdated{FriendlyName: "B", At: minute(1)},
	}
	a, err := given(t, history[:1]...).AddressConfiguration(t.Context(), account, ig)
	require.NoError(t, err)
	require.Equal(t, []string{ig, account, "sms", "+15551", "A", "US"}, []string{a.Sid, a.AccountSid, a.Type, a.Address, a.FriendlyName, a.AddressCountry})
	require.Equal(t, auto, a.AutoCreation)
	rm := given(t, history...)
	a, err = rm.AddressConfiguration(t.Context(), account, "+15551")
	require.NoError(t, err)
	require.Equal(t, "B", a.FriendlyName)
	require.Zero(t, a.AutoCreation)
	require.Equal(t, minute(1), a.DateUpdated)
	for _, wrong := range [][2]string{{"", "+15551"}, {"AC9", "+15551"}, {"AC9", ig}, {account, "+15552"}} {
		_, err = rm.AddressConfiguration(t.Context(), wrong[0], wrong[1])
		require.ErrorIs(t, err, projections.ErrNotFound, "%v", wrong)
	}

	_, err = given(t, append(history, events.AddressConfigurationRemoved{At: minute(2)})...).AddressConfiguration(t.Context(), account, ig)
	require.ErrorIs(t, err, projections.ErrNotFound)
}

func TestEmailParticipantsHaveALevelAndAName(t *testing.T) {
	e := joined(alba, "", "a@b.example", 1)
	e.Binding.Level, e.Binding.Name = "cc", "Alba"
	p, err := given(t, created(), e).Participant(t.Context(), service, ch, alba)
	require.NoError(t, err)
	require.Equal(t, projections.Binding(e.Binding), p.MessagingBinding)
}

func uploaded() events.MediaCreated {
	return events.MediaCreated{Media: me, Account: account, Service: service, ContentType: "image/png", Filename: "p.png", Size: 9,
		SHA256: "00ff", Author: "alba", At: minute(0)}
}

func posting(message events.MessageAdded, files ...string) events.MessageAdded {
	for _, file := range files {
		message.Media = append(message.Media, events.Media{Media: file, ContentType: "image/png", Size: 9})
	}
	return message
}

func TestMediaRows(t *testing.T) {
	history := []events.Event{created(), uploaded(), posting(message(im1, 0, 2), "ME9", me)}
	m, err := given(t, history[:2]...).Media(t.Context(), me)
	require.NoError(t, err)
	require.Equal(t, []string{me, account, service, "image/png", "p.png", "00ff", "alba", "", ""},
		[]string{m.Sid, m.AccountSid, m.ChatServiceSid, m.ContentType, m.Filename, m.SHA256, m.Author, m.ConversationSid, m.MessageSid})
	require.Equal(t, int64(9), m.Size)

	rm := given(t, history...)
	m, err = rm.Media(t.Context(), me)
	require.NoError(t, err)
	require.Equal(t, []string{ch, im1}, []string{m.ConversationSid, m.MessageSid})
	require.Equal(t, minute(2), m.DateUpdated)
	require.Equal(t, int64(1), rowsOf(t, rm, "media"), "what is kept elsewhere has no row")
	requireHeld(t, rm, true)

	rm = given(t, append(history, events.MediaRemoved{At: minute(3)})...)
	_, err = rm.Media(t.Context(), me)
	require.ErrorIs(t, err, projections.ErrNotFound)
	requireHeld(t, rm, false)
}

func requireHeld(t *testing.T, rm *projections.ReadModels, want bool) {
	t.Helper()
	held, err := rm.MediaHeld(t.Context(), "00ff")
	require.NoError(t, err)
	require.Equal(t, want, held)
}

func TestAFileBelongsToTheFirstMessageOfItsServiceThatHasIt(t *testing.T) {
	elsewhere := uploaded()
	elsewhere.Service = "IS9"
	for name, row := range map[string]struct {
		file events.MediaCreated
		want string
	}{
		"of the first message":              {uploaded(), im1},
		"of none when of another service's": {elsewhere, ""},
	} {
		t.Run(name, func(t *testing.T) {
			rm := given(t, created(), row.file, posting(message(im1, 0, 2), me, me), posting(message(im2, 1, 3), me))
			m, err := rm.Media(t.Context(), me)
			require.NoError(t, err)
			require.Equal(t, row.want, m.MessageSid)
		})
	}
}

func TestMediaAreCollectedWhenNoMessageHasThem(t *testing.T) {
	attached := []events.Event{created(), uploaded(), posting(message(im1, 0, 2), me), message(im2, 1, 3)}
	after := func(then ...events.Event) []events.Event {
		return append(attached[:len(attached):len(attached)], then...)
	}
	for name, row := range map[string]struct {
		history []events.Event
		before  int
		want    int
	}{
		"not attached for long enough":    {[]events.Event{uploaded()}, 1, 1},
		"not attached yet":                {[]events.Event{uploaded()}, 0, 0},
		"attached, however long ago":      {attached, 99, 0},
		"of a removed message, at once":   {after(events.MessageRemoved{Message: im1, At: minute(4)}), 0, 1},
		"of a removed conversation":       {after(events.ConversationRemoved{At: minute(4)}), 0, 1},
		"another message was removed":     {after(events.MessageRemoved{Message: im2, At: minute(4)}), 99, 0},
		"collected when it was collected": {after(events.MessageRemoved{Message: im1, At: minute(4)}, events.MediaRemoved{At: minute(5)}), 99, 0},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := given(t, row.history...).MediaToCollect(t.Context(), minute(row.before), projections.Page{})
			require.NoError(t, err)
			require.Len(t, list.Items, row.want)
		})
	}
}
