package projections_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store/memstore"
)

// eventful is a read model of a history in which the unusual is usual.
func eventful(t *testing.T) (*projections.ReadModels, *world) {
	t.Helper()
	log, w := memstore.New(), newWorld(5)
	w.rare = 2
	rm := open(t, t.TempDir(), log, nil)
	require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, w.grow(t, log, 2000)))
	return rm, w
}

func TestEveryListOfAnAccountOrServiceIsTheSameInPages(t *testing.T) {
	rm, w := eventful(t)
	ctx := t.Context()
	for name, walk := range map[string]func(t *testing.T) (listed, exist int){
		"services": func(t *testing.T) (int, int) {
			return len(requirePages(t, func(p projections.Page) (projections.List[projections.Service], error) {
				return rm.Services(ctx, account, p)
			})), 1 + len(w.things[events.CategoryService])
		},
		"removed services": func(t *testing.T) (int, int) {
			removed := requirePages(t, func(p projections.Page) (projections.List[projections.Service], error) {
				return rm.RemovedServices(ctx, p)
			})
			return len(removed), int(rowsOf(t, rm, "service")) - 1 - len(w.things[events.CategoryService])
		},
		"API keys": func(t *testing.T) (int, int) {
			return len(requirePages(t, func(p projections.Page) (projections.List[projections.APIKey], error) {
				return rm.APIKeys(ctx, account, p)
			})), len(w.things[events.CategoryAPIKey])
		},
		"credentials": func(t *testing.T) (int, int) {
			return len(requirePages(t, func(p projections.Page) (projections.List[projections.Credential], error) {
				return rm.Credentials(ctx, account, p)
			})), len(w.things[events.CategoryCredential])
		},
		"address configurations": func(t *testing.T) (int, int) {
			return len(requirePages(t, func(p projections.Page) (projections.List[projections.AddressConfiguration], error) {
				return rm.AddressConfigurations(ctx, projections.AddressConfigurationFilter{Account: account}, p)
			})), len(w.things[events.CategoryAddress])
		},
		"media": func(t *testing.T) (int, int) {
			return len(requirePages(t, func(p projections.Page) (projections.List[projections.Media], error) {
				return rm.MediaOfService(ctx, service, p)
			})), len(w.things[events.CategoryMedia])
		},
	} {
		t.Run(name, func(t *testing.T) {
			listed, exist := walk(t)
			require.Equal(t, exist, listed)
			require.Greater(t, listed, 3, "more than a page")
		})
	}
}

func TestPushBindingsAreSelectedByTypesAndIdentities(t *testing.T) {
	rm, w := eventful(t)
	all := requireDevices(t, rm, projections.PushBindingFilter{})
	require.Len(t, all, len(w.things[events.CategoryBinding]))
	for _, types := range [][]string{nil, {events.PushAPN}, {events.PushAPN, events.PushTwilsock}, {"none"}} {
		for _, identities := range [][]string{nil, {"agent-0-0"}, {"agent-2-0", "agent-1-0"}, {"nobody"}} {
			var want []projections.PushBinding
			for _, b := range all {
				if selects(types, b.BindingType) && selects(identities, b.Identity) {
					want = append(want, b)
				}
			}
			require.Equal(t, want, requireDevices(t, rm, projections.PushBindingFilter{Types: types, Identities: identities}))
		}
	}
}

func requireDevices(t *testing.T, rm *projections.ReadModels, filter projections.PushBindingFilter) []projections.PushBinding {
	t.Helper()
	filter.Service = service
	return requirePages(t, func(p projections.Page) (projections.List[projections.PushBinding], error) {
		return rm.PushBindings(t.Context(), filter, p)
	})
}

// selects says what a filter of several values means.
func selects(values []string, value string) bool {
	for _, v := range values {
		if v == value {
			return true
		}
	}
	return len(values) == 0
}

func TestAddressConfigurationsAreSelectedByType(t *testing.T) {
	rm, w := eventful(t)
	n := 0
	for _, kind := range []string{"sms", "email"} {
		list := requirePages(t, func(p projections.Page) (projections.List[projections.AddressConfiguration], error) {
			return rm.AddressConfigurations(t.Context(), projections.AddressConfigurationFilter{Account: account, Type: kind}, p)
		})
		require.NotEmpty(t, list)
		for _, a := range list {
			require.Equal(t, kind, a.Type)
		}
		n += len(list)
	}
	require.Equal(t, len(w.things[events.CategoryAddress]), n)
}

func TestMediaToCollectAreThoseThatNoMessageHas(t *testing.T) {
	rm, w := eventful(t)
	before := epoch.Add(w.at.Sub(epoch) / 2)
	posted := messagesOf(t, rm)
	var want []projections.Media
	all, err := rm.MediaOfService(t.Context(), service, projections.Page{Limit: 1 << 20})
	require.NoError(t, err)
	unattached, orphaned := 0, 0
	for _, m := range all.Items {
		switch {
		case m.MessageSid == "" && m.DateCreated.Before(before):
			unattached++
			want = append(want, m)
		case m.MessageSid != "" && !posted[m.MessageSid]:
			orphaned++
			want = append(want, m)
		}
	}
	require.NotZero(t, unattached)
	require.NotZero(t, orphaned)
	require.Equal(t, want, requirePages(t, func(p projections.Page) (projections.List[projections.Media], error) {
		return rm.MediaToCollect(t.Context(), before, p)
	}))
}

// messagesOf is the SID of every message there is.
func messagesOf(t *testing.T, rm *projections.ReadModels) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	all, err := rm.Conversations(t.Context(), projections.ConversationFilter{Service: service}, projections.Page{Limit: 1 << 20})
	require.NoError(t, err)
	for _, c := range all.Items {
		list, err := rm.Messages(t.Context(), service, c.Sid, false, projections.Page{Limit: 1 << 20})
		require.NoError(t, err)
		for _, m := range list.Items {
			found[m.Sid] = true
		}
	}
	return found
}

func TestConversationsOfAMemberAreThoseOfAllThatHaveIt(t *testing.T) {
	rm, _ := filled(t, 2500)
	places := 0
	for _, identity := range []string{"agent-3-0", "agent-7-0", "agent-11-0", "nobody"} {
		in := map[string]bool{}
		list, err := rm.ParticipantConversationsByIdentity(t.Context(), service, identity, projections.Page{Limit: 1000})
		require.NoError(t, err)
		for _, place := range list.Items {
			in[place.Conversation.Sid] = true
		}
		places += len(in)
		for _, filter := range []projections.ConversationFilter{{}, {Ascending: true}, {State: events.StateActive},
			{From: epoch.Add(time.Minute), To: epoch.Add(20 * time.Minute), Ascending: true}} {
			filter.Service = service
			requireMember(t, rm, filter, identity, in)
		}
	}
	require.NotZero(t, places)
}

// requireMember compares what is listed for the identity with what of the
// whole list it is in.
func requireMember(t *testing.T, rm *projections.ReadModels, filter projections.ConversationFilter, identity string, in map[string]bool) {
	t.Helper()
	all, err := rm.Conversations(t.Context(), filter, projections.Page{Limit: 1 << 20})
	require.NoError(t, err)
	var want []projections.Conversation
	for _, c := range all.Items {
		if in[c.Sid] {
			want = append(want, c)
		}
	}
	filter.Member = identity
	require.Equal(t, want, requirePages(t, func(p projections.Page) (projections.List[projections.Conversation], error) {
		return rm.Conversations(t.Context(), filter, p)
	}))
}

// Conversations that were imported may all be of one instant.
func TestConversationsOfOneInstantAreListedInPages(t *testing.T) {
	log, w := memstore.New(), newWorld(1)
	rm := open(t, t.TempDir(), log, nil)
	for range 20 {
		w.append(t, log, w.create(minute(5)))
	}
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, head))
	for _, filter := range []projections.ConversationFilter{{}, {From: minute(5), To: minute(5), Ascending: true}, {State: events.StateActive, To: minute(5)}} {
		filter.Service = service
		require.Len(t, requirePages(t, func(p projections.Page) (projections.List[projections.Conversation], error) {
			return rm.Conversations(t.Context(), filter, p)
		}), 20)
	}
}

func TestARoleIsInUseWhileAUserOrParticipantHasIt(t *testing.T) {
	user := events.UserCreated{User: us, Account: account, Service: service, Identity: "alba", Role: rl, At: minute(0)}
	participant := joined(bo, "bo", "", 1)
	participant.Role = rl
	for name, row := range map[string]struct {
		history []events.Event
		want    bool
	}{
		"nobody":                    {[]events.Event{created(), joined(bo, "bo", "", 1)}, false},
		"a user":                    {[]events.Event{user}, true},
		"a participant":             {[]events.Event{created(), participant}, true},
		"a user who was removed":    {[]events.Event{user, events.UserRemoved{At: minute(1)}}, false},
		"a participant who is gone": {[]events.Event{created(), participant, events.ParticipantRemoved{Participant: bo, At: minute(2)}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			rm := given(t, row.history...)
			used, err := rm.RoleInUse(t.Context(), service, rl)
			require.NoError(t, err)
			require.Equal(t, row.want, used)
			used, err = rm.RoleInUse(t.Context(), "IS9", rl)
			require.NoError(t, err)
			require.False(t, used, "another service has other roles")
		})
	}
}
