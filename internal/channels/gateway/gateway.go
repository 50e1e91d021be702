// Package gateway drives any HTTP gateway that configuration can describe: those
// that take JSON as well as those that take a GET, and whatever they send back.
package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/parley-engine/parley/internal/channels/secret"
)

// Carrier sends to one gateway and reads its requests. It is safe for concurrent
// use; make one with New.
type Carrier struct {
	config  Config
	request *request
	answer  *answer
	inbound *inbound // nil: it sends none
	status  *status  // nil: it sends none
	verify  verifier
	client  *http.Client
	now     func() time.Time
}

const (
	defaultTimeout = 15.0 // seconds
	longestTimeout = 300.0
)

// New checks the whole configuration and reads the secrets. The transport is the
// caller's, who decides about proxies and guards; nil is that of the standard
// library. Redirects are not followed.
func New(c Config, transport http.RoundTripper) (*Carrier, error) {
	made, err := build(c)
	if err != nil {
		return nil, fmt.Errorf("configure a gateway: %w", err)
	}
	made.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return made, nil
}

func build(c Config) (*Carrier, error) {
	if c.Send.TimeoutSeconds < 0 || c.Send.TimeoutSeconds > longestTimeout {
		return nil, errors.New("send: timeout_seconds is not between 0 and 300")
	}
	if c.Send.TimeoutSeconds == 0 {
		c.Send.TimeoutSeconds = defaultTimeout
	}
	secrets := make(map[string]string, len(c.Secrets))
	for name, path := range c.Secrets {
		var err error
		if secrets[name], err = secret.Read(path); err != nil {
			return nil, fmt.Errorf("secrets: %s: %w", name, err)
		}
	}
	made := &Carrier{config: c, now: time.Now}
	var errs [5]error
	made.request, errs[0] = newRequest(c.Send, secrets)
	made.answer, errs[1] = newAnswer(c.Answer)
	made.inbound, errs[2] = newInbound(c.Inbound)
	made.status, errs[3] = newStatus(c.Status)
	errs[4] = made.guard(secrets)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	if c.OneURL {
		made.inbound.lax, made.status.lax = true, true
	}
	return made, nil
}

// guard settles how requests are believed.
func (g *Carrier) guard(secrets map[string]string) (err error) {
	c := &g.config
	if c.OneURL && (c.Inbound == nil || c.Status == nil || c.Inbound.Each == "" || c.Status.Each == "") {
		return errors.New("one_url needs inbound and status, both with each")
	}
	if c.Inbound == nil && c.Status == nil {
		return nil
	}
	query := c.Inbound != nil && c.Inbound.Source == sourceQuery || c.Status != nil && c.Status.Source == sourceQuery
	if query && c.Signature.HMAC != nil {
		return errors.New("signature: hmac signs the body, of which a query is no part")
	}
	g.verify, err = newVerifier(c.Signature, secrets)
	return err
}

// Idempotent reports whether the configuration says that the gateway is.
func (g *Carrier) Idempotent() bool { return g.config.Send.Idempotent }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
