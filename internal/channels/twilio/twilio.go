// Package twilio drives real numbers with Twilio's Messages API, through Twilio's
// own library.
//
// The API has no idempotency key: a message of which nobody knows whether it was
// taken is not sent again. It has no native groups either; those belong to
// conversations of Twilio itself.
package twilio

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/twilio/twilio-go/client"

	"github.com/parley-engine/parley/internal/channels/secret"
)

// Config says whose numbers are driven.
type Config struct {
	// AccountSid is AC… and 32 hex digits. Required.
	AccountSid string `json:"account_sid"`
	// AuthTokenFile holds the account's auth token. Required: signatures of webhooks
	// are made with it even where an API key is used (reference 8.7).
	AuthTokenFile string `json:"auth_token_file"`
	// APIKeySid is SK… and 32 hex digits of the key to send with; empty: the auth token is used.
	APIKeySid string `json:"api_key_sid,omitempty"`
	// APIKeySecretFile holds the secret of that key. Required with it.
	APIKeySecretFile string `json:"api_key_secret_file,omitempty"`
	// MessagingServiceSid is MG… of a messaging service of that account to send
	// through; its senders must include the proxy address. Empty: the proxy address alone.
	MessagingServiceSid string `json:"messaging_service_sid,omitempty"`
	// Region and Edge choose where Twilio takes requests, such as ie1 and dublin;
	// empty: us1.
	Region string `json:"region,omitempty"`
	Edge   string `json:"edge,omitempty"`
	// BaseURL is sent to instead of Twilio, for tests and proxies; empty: Twilio.
	BaseURL string `json:"base_url,omitempty"`
	// TimeoutSeconds bounds one request; 0: 15.
	TimeoutSeconds float64 `json:"timeout_seconds,omitempty"`
}

const (
	defaultTimeout = 15 * time.Second
	longestTimeout = 5 * time.Minute
)

// Carrier sends with Twilio and reads its webhooks. It is safe for concurrent
// use; make one with New.
type Carrier struct {
	config      Config
	credentials client.Credentials
	validator   client.RequestValidator
	base        *url.URL // nil: Twilio
	timeout     time.Duration
	transport   http.RoundTripper
}

// New checks the configuration and reads the secrets. The transport is the
// caller's, who decides about proxies and guards; nil is that of the standard
// library.
func New(c Config, transport http.RoundTripper) (*Carrier, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("configure twilio: %w", err)
	}
	token, err := secret.Read(c.AuthTokenFile)
	if err != nil {
		return nil, fmt.Errorf("configure twilio: auth_token_file: %w", err)
	}
	made := &Carrier{
		config: c, validator: client.NewRequestValidator(token), transport: transport, timeout: defaultTimeout,
		credentials: client.Credentials{Username: c.AccountSid, Password: token},
	}
	if c.APIKeySid != "" {
		key, err := secret.Read(c.APIKeySecretFile)
		if err != nil {
			return nil, fmt.Errorf("configure twilio: api_key_secret_file: %w", err)
		}
		made.credentials = client.Credentials{Username: c.APIKeySid, Password: key}
	}
	return made, made.settle()
}

// settle fills in what was left out.
func (t *Carrier) settle() error {
	if !alphanumeric.MatchString(t.credentials.Password) {
		return errors.New("configure twilio: an auth token or secret has letters and digits only")
	}
	if t.transport == nil {
		t.transport = http.DefaultTransport
	}
	if t.config.TimeoutSeconds > 0 {
		t.timeout = time.Duration(t.config.TimeoutSeconds * float64(time.Second))
	}
	if t.config.BaseURL == "" {
		return nil
	}
	base, err := url.Parse(t.config.BaseURL)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" || base.User != nil || base.RawQuery != "" {
		return errors.New("configure twilio: base_url is no http or https address")
	}
	t.base = base
	return nil
}

var (
	alphanumeric = regexp.MustCompile(`^[a-zA-Z0-9]+$`) // the library refuses to send others
	label        = regexp.MustCompile(`^[a-z0-9-]*$`)   // of a host name
	sid          = regexp.MustCompile(`^[A-Z]{2}[0-9a-f]{32}$`)
)

func (c *Config) check() error {
	switch {
	case !isSid(c.AccountSid, "AC"):
		return errors.New("account_sid is not AC and 32 hex digits")
	case c.AuthTokenFile == "":
		return errors.New("auth_token_file is missing")
	case c.APIKeySid != "" && !isSid(c.APIKeySid, "SK"):
		return errors.New("api_key_sid is not SK and 32 hex digits")
	case (c.APIKeySid == "") != (c.APIKeySecretFile == ""):
		return errors.New("api_key_sid and api_key_secret_file need each other")
	case c.MessagingServiceSid != "" && !isSid(c.MessagingServiceSid, "MG"):
		return errors.New("messaging_service_sid is not MG and 32 hex digits")
	case !label.MatchString(c.Region) || !label.MatchString(c.Edge):
		return errors.New("region and edge are parts of a host name")
	case c.TimeoutSeconds < 0 || c.TimeoutSeconds > longestTimeout.Seconds():
		return errors.New("timeout_seconds is not between 0 and 300")
	}
	return nil
}

func isSid(text, prefix string) bool { return strings.HasPrefix(text, prefix) && sid.MatchString(text) }

// Idempotent is false: the Messages API does not recognise keys.
func (t *Carrier) Idempotent() bool { return false }
