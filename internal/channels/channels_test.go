package channels_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/domain/address"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/service"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/channels"
	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/channels/loopback"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/store"
)

func chat(identity string) conversation.AddParticipant {
	return conversation.AddParticipant{Identity: identity}
}

func outside(address, proxy string) conversation.AddParticipant {
	return conversation.AddParticipant{Address: address, ProxyAddress: proxy}
}

func TestAMessageGoesToEveryoneOutsideButItsAuthor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{Shuffle: true})
		sid := w.conversation(chat("agent"), outside(ada, ours), outside(bob, ours), outside(wa, waOurs))
		w.run(time.Minute, func(c *channels.Channels) {
			w.do("", sid, conversation.AddMessage{Author: "agent", Body: "hello"})
			time.Sleep(time.Minute)
			w.inbound(c, ada, "hi", ours)
		})
		require.ElementsMatch(t, []string{ada + ": hello", bob + ": hello", wa + ": hello", bob + ": hi", wa + ": hi"}, w.carrier.to())
		told := w.told(sid)
		require.Equal(t, 3, count(told, "delivered"), "%v", told)
		require.Equal(t, 2, count(told, "read"), "the last word of each copy is the highest: %v", told)
		require.Equal(t, 1, count(told, "message "+ada+": hi"))
	})
}

func count(list []string, what string) (n int) {
	for _, s := range list {
		if s == what {
			n++
		}
	}
	return n
}

func TestNothingIsSentTwiceOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		sid := w.conversation(outside(ada, ours))
		w.run(time.Second, nil)
		w.do("", sid, conversation.AddMessage{Body: "while nobody looked"})
		for range 3 {
			w.run(time.Second, nil)
		}
		require.Equal(t, []string{ada + ": while nobody looked"}, w.carrier.to())
	})
}

func TestWhatGatewaysAnswer(t *testing.T) {
	long := strings.Repeat("é", 1601)
	for name, row := range map[string]struct {
		idempotent bool
		body       string
		fail       []error
		sent       int
		told       []string // after the message
		state      reactor.State
	}{
		"taken":                       {false, "b", nil, 1, []string{"sent", "delivered"}, reactor.Done},
		"refused":                     {false, "b", []error{&carrier.Refused{Code: 30003, Reason: "r"}}, 1, []string{"failed 30003"}, reactor.Done},
		"too long is not even tried":  {false, long, nil, 0, []string{"failed 21617"}, reactor.Done},
		"later":                       {false, "b", []error{&carrier.Later{After: time.Minute}}, 2, []string{"sent", "delivered"}, reactor.Done},
		"not sent":                    {false, "b", []error{errors.New("no connection")}, 2, []string{"sent", "delivered"}, reactor.Done},
		"perhaps sent":                {false, "b", []error{carrier.ErrUnknown}, 1, nil, reactor.Parked},
		"perhaps sent and recognised": {true, "b", []error{carrier.ErrUnknown}, 2, []string{"sent", "delivered"}, reactor.Done},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, loopback.Config{})
				w.carrier.idempotent, w.carrier.fail = row.idempotent, row.fail
				sid := w.conversation(outside(ada, ours))
				before := len(w.told(sid))
				w.run(5*time.Minute, func(c *channels.Channels) {
					w.do("", sid, conversation.AddMessage{Body: row.body})
					time.Sleep(5 * time.Minute)
					entries, err := c.Out.Entries(reactor.Selection{})
					require.NoError(t, err)
					require.Len(t, entries, 1)
					require.Equal(t, row.state, entries[0].State, entries[0].Note)
				})
				require.Len(t, w.carrier.sent, row.sent)
				require.Equal(t, row.told, append([]string(nil), w.told(sid)[before+1:]...))
			})
		})
	}
}

func TestAPersonDecidesAboutWhatPerhapsWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		w.carrier.idempotent, w.carrier.fail = false, []error{carrier.ErrUnknown}
		sid := w.conversation(outside(ada, ours))
		w.run(time.Minute, func(c *channels.Channels) {
			w.do("", sid, conversation.AddMessage{Body: "b"})
			time.Sleep(time.Minute)
			n, err := c.Out.Retry(reactor.Selection{State: reactor.Parked})
			require.NoError(t, err)
			require.Equal(t, 1, n)
		})
		require.Len(t, w.carrier.sent, 2)
		require.Contains(t, w.told(sid), "delivered")
	})
}

func TestImportsAreNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		sid := w.conversation(outside(ada, ours))
		w.run(time.Minute, func(*channels.Channels) {
			add := conversation.AddMessage{Body: "old"}
			_, err := w.engine.Execute(t.Context(), engine.Command{Type: add.CommandType(), Aggregate: sid, Fields: add, Actor: events.Actor{Kind: events.ActorImport}})
			require.NoError(t, err)
		})
		require.Empty(t, w.carrier.to())
	})
}

func TestTwentyFirstMessagesMakeOneConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		w.autocreate(ours, address.AutoCreationPatch{})
		w.run(time.Minute, func(c *channels.Channels) {
			for i := range 20 {
				go w.inbound2(c, i)
			}
		})
		list := w.conversations()
		require.Len(t, list, 1)
		told := w.told(list[0])
		require.Equal(t, []string{"created", "participant " + ada}, told[:2], "the order of reference 9.2")
		require.Len(t, told, 22)
		require.Empty(t, w.carrier.to(), "nobody else is in it")
	})
}

func (w *world) inbound2(c *channels.Channels, i int) {
	_ = c.Take(w.t.Context(), "test", carrier.Report{Inbound: &carrier.Inbound{ID: fmt.Sprint("first", i), From: ada, To: []string{ours}, Body: fmt.Sprint(i)}})
}

func TestAfterClosingTheNextMessageBeginsASuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		w.autocreate(ours, address.AutoCreationPatch{})
		w.run(time.Minute, func(c *channels.Channels) {
			w.inbound(c, ada, "one", ours)
			time.Sleep(time.Second)
			closed := "closed"
			w.do("", w.conversations()[0], conversation.Update{State: &closed})
			w.inbound(c, ada, "two", ours)
			w.inbound(c, ada, "three", ours)
		})
		list := w.conversations()
		require.Len(t, list, 2)
		first := w.told(list[0])
		require.Equal(t, []string{"closed", "succeeded"}, first[len(first)-2:])
		require.Equal(t, []string{"created", "participant " + ada, "message " + ada + ": two", "message " + ada + ": three"}, w.told(list[1]))
		route, err := w.engine.PairRoute(t.Context(), ac, ada, ours)
		require.NoError(t, err)
		require.Equal(t, list[0], route.Predecessor)
	})
}

func TestTheSameInboundMessageCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		sid := w.conversation(outside(ada, ours))
		for range 3 {
			w.run(time.Second, func(c *channels.Channels) {
				w.n = 0
				w.inbound(c, ada, "hi", ours)
			})
		}
		require.Equal(t, 1, count(w.told(sid), "message "+ada+": hi"))
	})
}

func TestWithoutAutocreationAMessageIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		w.run(time.Minute, func(c *channels.Channels) {
			w.inbound(c, ada, "hi", ours)
			time.Sleep(time.Second)
			entries, err := c.In.Entries(reactor.Selection{})
			require.NoError(t, err)
			require.Equal(t, "ignored: no conversation, and no autocreation for "+ours, entries[0].Note)
		})
		require.Empty(t, w.conversations())
	})
}

func TestAutocreationByMessagingServiceAndItsWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		w.routing.Autocreate = map[string]bool{mg: true}
		kind, url := "webhook", "https://example.org/hook"
		w.autocreate(ours2, address.AutoCreationPatch{Type: &kind, WebhookURL: &url, WebhookFilters: []string{"onMessageAdded"}})
		w.run(time.Minute, func(c *channels.Channels) {
			w.inbound(c, ada, "by service", ours)
			w.inbound(c, ada, "by address", ours2)
		})
		list := w.conversations()
		require.Len(t, list, 2)
		all := append(w.told(list[0]), w.told(list[1])...)
		require.Equal(t, 1, count(all, "webhook-added"))
	})
}

func TestAGroupIsFoundByItsSetOfNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const we, one, two = "+12125550100", "+12125550101", "+12125550102"
		w := newWorld(t, loopback.Config{})
		w.autocreate(we, address.AutoCreationPatch{})
		w.run(time.Minute, func(c *channels.Channels) {
			w.inbound(c, one, "first", we, two)
			time.Sleep(time.Second)
			w.inbound(c, two, "second", one, we)
			time.Sleep(time.Second)
			w.do("", w.conversations()[0], conversation.AddMessage{Author: we, Body: "third"})
		})
		require.Len(t, w.conversations(), 1)
		require.Equal(t, []string{one + "+" + two + ": third"}, w.carrier.to(), "one native message; what members wrote they all have")
		require.Equal(t, we, w.carrier.sent[len(w.carrier.sent)-1].From)
		require.Equal(t, 2, count(w.told(w.conversations()[0]), "delivered"), "%v", w.told(w.conversations()[0]))
	})
}

func last(list []string, n int) []string { return list[len(list)-n:] }

func TestAWebhookCanRefuseWhatComesFromOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		w.autocreate(ours, address.AutoCreationPatch{})
		var mu sync.Mutex
		var asked []string
		w.before = func(_ context.Context, c engine.Command, begins *carrier.Inbound) (engine.Command, error) {
			body := ""
			if begins != nil {
				body = begins.Body
			}
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, c.Type+" "+body)
			switch fields := c.Fields.(type) {
			case conversation.CreateWithParticipants:
				if body == "spam" {
					return c, &engine.Failure{Code: "vetoed", Twilio: 50056}
				}
				fields.Conversation.FriendlyName = "named"
				c.Fields = fields
			case conversation.AddMessage:
				fields.Body = "[" + fields.Body + "]"
				c.Fields = fields
			}
			return c, nil
		}
		w.run(time.Minute, func(c *channels.Channels) {
			w.inbound(c, bob, "spam", ours)
			w.inbound(c, ada, "one", ours)
			time.Sleep(time.Second)
			w.inbound(c, ada, "two", ours)
		})
		require.ElementsMatch(t, []string{"conversation.create-with-participants spam", "conversation.create-with-participants one", "conversation.add-message "}, asked)
		list := w.conversations()
		require.Len(t, list, 1)
		require.Equal(t, []string{"message " + ada + ": one", "message " + ada + ": [two]"}, last(w.told(list[0]), 2))
	})
}

func TestStatusesOfUnknownMessagesAreParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		w.run(time.Hour, func(c *channels.Channels) {
			require.NoError(t, c.Take(t.Context(), "test", carrier.Report{Status: &carrier.Status{ID: "nobody's", Status: "delivered"}}))
			time.Sleep(8 * time.Hour)
			entries, err := c.In.Entries(reactor.Selection{State: reactor.Parked})
			require.NoError(t, err)
			require.Len(t, entries, 1)
			require.Contains(t, entries[0].Note, "no message with this id")
		})
	})
}

func TestWhatCannotBeAReportIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		w.run(time.Second, func(c *channels.Channels) {
			for name, r := range map[string]carrier.Report{
				"nothing":           {},
				"no id":             {Inbound: &carrier.Inbound{From: ada, To: []string{ours}}},
				"nobody":            {Inbound: &carrier.Inbound{ID: "1", From: ada}},
				"no sender":         {Inbound: &carrier.Inbound{ID: "1", To: []string{ours}}},
				"a from of bytes":   {Inbound: &carrier.Inbound{ID: "1", From: ada + "\xff", To: []string{ours}}},
				"only NULs":         {Inbound: &carrier.Inbound{ID: "\x00", From: ada, To: []string{ours}}},
				"a status of bytes": {Status: &carrier.Status{ID: "\xff", Status: "sent"}},
				"a crowd":           {Inbound: &carrier.Inbound{ID: "1", From: ada, To: make([]string, 30)}},
				"no message":        {Status: &carrier.Status{Status: "sent"}},
				"an endless id":     {Status: &carrier.Status{ID: strings.Repeat("x", 256), Status: "sent"}},
				"an endless to":     {Inbound: &carrier.Inbound{ID: "1", From: ada, To: []string{strings.Repeat("1", 257)}}},
				"an id of bytes":    {Inbound: &carrier.Inbound{ID: "\xff", From: ada, To: []string{ours}}},
			} {
				var malformed *carrier.Malformed
				require.ErrorAs(t, c.Take(t.Context(), "test", r), &malformed, name)
			}
			require.ErrorIs(t, c.Take(t.Context(), "other", carrier.Report{}), channels.ErrUnknownAdapter)
			entries, err := c.In.Entries(reactor.Selection{})
			require.NoError(t, err)
			require.Empty(t, entries, "and leaves no trace")
		})
	})
}

// A carrier that is refused hands the same over again, for ever; a customer cannot write
// his message otherwise.
func TestWhatACarrierHandsOverIsTakenWithoutNULs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		sid := w.conversation(outside(ada, ours))
		w.run(time.Second, func(c *channels.Channels) {
			for i, body := range []string{"hello\x00", "\x00 he\x00llo", "gr\xfc\xdfe", "plain"} {
				in := &carrier.Inbound{ID: fmt.Sprint("\x00", i, "\x00"), From: ada + "\x00", To: []string{"\x00" + ours}, Body: body, At: time.Date(-4, 1, 1, 0, 0, 0, 0, time.UTC)}
				require.NoError(t, c.Take(t.Context(), "test", carrier.Report{Inbound: in}))
				require.Equal(t, "\x00"+ours, in.To[0], "what was handed over is left alone")
			}
		})
		var said []string
		for _, e := range w.events(sid) {
			if m, ok := e.(events.MessageAdded); ok {
				said = append(said, m.Body)
			}
		}
		require.Equal(t, []string{"hello", " hello", "gr\uFFFDe", "plain"}, said)
	})
}

// A process is killed when the carrier has taken a message, and before that is noted.
func TestAMessageWhoseSendingWasCutOffIsNotSentAgain(t *testing.T) {
	for name, idempotent := range map[string]bool{"recognised by the gateway": true, "not recognised": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, loopback.Config{Delay: "1m"})
				w.carrier.idempotent = idempotent
				sid := w.conversation(outside(ada, ours))
				w.run(time.Second, func(*channels.Channels) { w.do("", sid, conversation.AddMessage{Body: "b"}) })
				forget(t, filepath.Join(w.dir, "out.db"))
				w.run(10*time.Minute, func(c *channels.Channels) {
					time.Sleep(time.Minute)
					entries, err := c.Out.Entries(reactor.Selection{})
					require.NoError(t, err)
					require.Equal(t, "not sent again: it is sent", entries[0].Note)
				})
				require.Len(t, w.carrier.sent, 1)
				require.Contains(t, w.told(sid), "delivered")
			})
		})
	}
}

// forget leaves the jobs of a queue as a kill in the middle of an attempt does.
func forget(t *testing.T, path string) {
	t.Helper()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteTransient(conn, `UPDATE job SET state = 'pending', begun = 1, head = 1`, nil))
	require.NoError(t, conn.Close())
}

func TestAMessageThatBeginsAConversationMayBeginTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		w.autocreate(ours, address.AutoCreationPatch{})
		tries := 0
		w.keep = func(context.Context, carrier.Media) (events.Media, string, error) {
			if tries++; tries == 1 { // it is closed in the moment between its creation and its first message
				closed := "closed"
				w.do("", w.conversations()[0], conversation.Update{State: &closed})
			}
			return events.Media{}, "", &carrier.Refused{Reason: "gone"}
		}
		w.run(time.Minute, func(c *channels.Channels) {
			require.NoError(t, c.Take(t.Context(), "test", carrier.Report{Inbound: &carrier.Inbound{
				ID: "1", From: ada, To: []string{ours}, Body: "hi", Media: []carrier.Media{{URL: "https://carrier/1"}},
			}}))
		})
		list := w.conversations()
		require.Len(t, list, 2)
		require.Contains(t, w.told(list[1]), "message "+ada+": hi")
	})
}

func TestWhatCannotBeReadHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		broken, sound := w.conversation(outside(ada, ours)), w.conversation(outside(bob, ours))
		w.run(time.Minute, func(c *channels.Channels) {
			w.do("", broken, conversation.AddMessage{Body: "not sent"})
			time.Sleep(time.Second)
			stream := events.Stream(events.CategoryConversation, broken)
			_, err := w.log.Append(t.Context(), stream, store.Revision(len(w.told(broken))-1), []events.Proposed{
				{ID: events.NameID("x"), Type: "conversation.of-tomorrow.v1", Data: []byte("{}")},
				{ID: events.NameID("y"), Type: (events.MessageAdded{}).EventType(), Data: []byte(`{"message":"IM1","recipients":["MB1"]}`)},
			})
			require.NoError(t, err)
			w.do("", sound, conversation.AddMessage{Body: "sent"})
			time.Sleep(time.Second)
			parked, err := c.Out.Entries(reactor.Selection{State: reactor.Parked})
			require.NoError(t, err)
			require.Len(t, parked, 1)
			require.Equal(t, broken, parked[0].About)
			require.Contains(t, parked[0].Note, "cannot read")
		})
		require.Contains(t, w.carrier.to(), bob+": sent")
	})
}

func TestWhoWasTakenOutOfAConversationDoesNotWriteIntoIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		w.autocreate(ours, address.AutoCreationPatch{})
		sid := w.conversation(outside(ada, ours), outside(bob, ours))
		route, err := w.engine.PairRoute(t.Context(), ac, ada, ours)
		require.NoError(t, err)
		w.do("", sid, conversation.RemoveParticipant{Participant: route.Participant})
		w.run(time.Minute, func(c *channels.Channels) { w.inbound(c, ada, "hi", ours) })
		require.NotContains(t, w.told(sid), "message "+ada+": hi")
		list := w.conversations()
		require.Len(t, list, 2)
		require.Equal(t, []string{"created", "participant " + ada, "message " + ada + ": hi"}, w.told(list[1]))
		route, err = w.engine.PairRoute(t.Context(), ac, ada, ours)
		require.NoError(t, err)
		require.Empty(t, route.Predecessor, "the other one goes on")
	})
}

func TestASuccessorInAnotherServiceGetsTheFilesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		sid := w.conversation(outside(ada, ours))
		closed := "closed"
		w.do("", sid, conversation.Update{State: &closed})
		other := w.do("", "", service.Create{FriendlyName: "other"})
		w.autocreate(ours, address.AutoCreationPatch{Service: &other})
		w.keep = func(ctx context.Context, m carrier.Media) (events.Media, string, error) {
			hash, size, err := keepAll(ctx, strings.NewReader(m.URL), 1000)
			return events.Media{ContentType: "image/png", Size: size}, hash, err
		}
		w.run(time.Minute, func(c *channels.Channels) {
			require.NoError(t, c.Take(t.Context(), "test", carrier.Report{Inbound: &carrier.Inbound{
				ID: "1", From: ada, To: []string{ours}, Body: "look", Media: []carrier.Media{{URL: "https://carrier/1"}},
			}}))
		})
		list := w.conversations()
		require.Len(t, list, 2)
		require.Contains(t, w.told(list[1]), "message "+ada+": look")
	})
}
