package rest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twilio/twilio-go/client"
	"github.com/twilio/twilio-go/client/jwt"

	"github.com/parley-engine/parley/internal/blob"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/httpapi/rest"
	"github.com/parley-engine/parley/internal/seal"
)

// beside is a second engine on the same log, with other settings and a surface of
// its own.
func (w *world) beside(options engine.Options, change func(*rest.Config)) *world {
	w.t.Helper()
	vault, err := seal.New([]byte(strings.Repeat("k", seal.KeySize)))
	require.NoError(w.t, err)
	head, err := w.log.Head(w.t.Context())
	require.NoError(w.t, err)
	fresh := rest.NewFreshness(head)
	options.DefaultAccount, options.Vault, options.Wrote, options.Memberships, options.RoleInUse = w.account, vault, fresh.Wrote, w.memberships, w.roleInUse
	options.OpenConversations = func(ctx context.Context, service, identity string) (int, error) {
		return w.models.OpenConversations(ctx, service, identity, 1000)
	}
	other := *w
	other.engine = engine.New(w.log, &options)
	config := rest.Config{Engine: other.engine, Models: w.models.Queries, Wait: w.models.Wait, Stamp: w.models.Stamp, Log: w.log, Fresh: fresh}
	if change != nil {
		change(&config)
	}
	other.server = httptest.NewServer(rest.New(config))
	w.t.Cleanup(other.server.Close)
	return &other
}

const apiKey = "SK00000000000000000000000000000001"

var apiKeySecret = strings.Repeat("s", 32)

// signs makes the API key known with which access tokens are signed.
func (w *world) signs() {
	w.t.Helper()
	w.do("apikey.create", "", `{"sid":"`+apiKey+`","secret":"`+apiKeySecret+`"}`)
}

// accessToken is one as Twilio's library makes it. No service: the default
// one.
func (w *world) accessToken(service, identity string) string {
	w.t.Helper()
	made := jwt.CreateAccessToken(jwt.AccessTokenParams{
		AccountSid: w.account, SigningKeySid: apiKey, Secret: apiKeySecret, Identity: identity, Ttl: 3600,
		Grants: []jwt.BaseGrant{&jwt.ChatGrant{ServiceSid: service}},
	})
	token, err := made.ToJwt()
	require.NoError(w.t, err)
	return token
}

// stage is where errors are provoked.
type stage struct {
	*judge
	open   string // active, with a Messaging Service that takes any sender; alice takes part
	closed string
	alice  *judge // with an access token
	mallet *judge // who takes part in nothing
}

// strictService is a Messaging Service that names its senders.
const strictService = "MG00000000000000000000000000000002"

func newStage(t *testing.T) *stage {
	t.Helper()
	w := newWorld(t)
	w.attachable()
	w.do("account.add-messaging-service", w.account, `{"sid":"`+strictService+`","senders":["`+ourNumber+`"]}`)
	w.signs()
	s := &stage{judge: w.judge(t)}
	s.open, s.closed = s.conversation(), s.conversation()
	s.do("CreateConversationParticipant", []string{s.open}, params{"Identity": "alice"})
	s.do("CreateConversationParticipant", []string{s.closed}, params{"Identity": "alice"})
	s.do("UpdateConversation", []string{s.closed}, params{"State": "closed"})
	s.do("CreateUser", nil, params{"Identity": "mallet"})
	s.alice, s.mallet = w.guest(t, w.accessToken("", "alice")), w.guest(t, w.accessToken("", "mallet"))
	return s
}

// by has the same stage judged by somebody else.
func (s *stage) by(j *judge) *stage {
	other := *s
	other.judge = j
	return &other
}

// call has something refused, and makes sure that nothing was written.
func (s *stage) call(operation string, path []string, p params) error {
	s.t.Helper()
	before := s.events()
	_, err := s.try(operation, path, p)
	require.Equal(s.t, before, s.events(), "a refusal writes nothing")
	return err
}

// raw is call for what the library cannot send.
func (s *stage) raw(method, path string, form url.Values, headers ...string) error {
	s.t.Helper()
	before := s.events()
	got := s.world.call(method, path, form, headers...)
	require.Equal(s.t, before, s.events(), "a refusal writes nothing")
	return got.refusal(s.t)
}

// refusal reads an error as the library would.
func (r reply) refusal(t testing.TB) error {
	t.Helper()
	if r.status < 400 {
		return nil
	}
	require.NoError(t, checkError(r))
	var refused client.TwilioRestError
	require.NoError(t, json.Unmarshal([]byte(r.text), &refused))
	return &refused
}

// upload sends bytes.
func (s *stage) upload(contentType, body string) error {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.server.URL+"/v1/Services/"+s.home()+"/Media", strings.NewReader(body))
	require.NoError(s.t, err)
	r.SetBasicAuth(s.account, s.token)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return s.send(r).refusal(s.t)
}

// with makes a conversation with participants.
func (s *stage) with(participants ...params) string {
	s.t.Helper()
	in := s.conversation()
	for _, p := range participants {
		s.do("CreateConversationParticipant", []string{in}, p)
	}
	return in
}

func chat(identity string) params { return params{"Identity": identity} }

func sms(address string) params {
	return params{"MessagingBinding.Address": address, "MessagingBinding.ProxyAddress": ourNumber}
}

func native(address string) params { return params{"MessagingBinding.Address": address} }

// files is a place for uploads.
func (s *stage) files() rest.Files {
	s.t.Helper()
	store, err := blob.Open(s.t.TempDir())
	require.NoError(s.t, err)
	return testFiles{store}
}
