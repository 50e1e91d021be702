// Package setup makes channel adapters from a configuration file.
package setup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"regexp"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/internal/channels"
	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/channels/gateway"
	"github.com/parley-engine/parley/internal/channels/loopback"
	"github.com/parley-engine/parley/internal/channels/smpp"
	"github.com/parley-engine/parley/internal/channels/twilio"
)

// File is the configuration.
type File struct {
	// Adapters by name, of letters, digits, - and _. Without a file there is one,
	// loopback.
	Adapters map[string]Adapter `json:"adapters"`
	// MessagingServices says which adapter carries the messages of a Messaging Service.
	MessagingServices map[string]string `json:"messaging_services,omitempty"`
	// Default carries those of all others; empty: nobody does.
	Default string `json:"default,omitempty"`
	// Autocreate lists Messaging Services, MG…, whose senders begin a conversation for
	// a message that belongs to none. An address configuration has precedence.
	Autocreate []string `json:"autocreate,omitempty"`
}

// Adapter is one carrier.
type Adapter struct {
	Type     string          `json:"type"` // loopback, http, twilio or smpp
	Account  string          `json:"account,omitempty"`
	Settings json.RawMessage `json:"settings,omitempty"` // of the type
}

// loop is the adapter without a configuration.
const loop = "loopback"

// Surroundings are what adapters are given.
type Surroundings struct {
	Token     string            // of who may hand reports to loopback
	Transport http.RoundTripper // of requests to gateways; nil: http.DefaultTransport
	Logger    *slog.Logger      // nil: discard
}

// maxFile bounds the configuration, in bytes.
const maxFile = 1 << 20

// Read reads the file at path; an empty path is the configuration without a file.
func Read(path string) (File, error) {
	if path == "" {
		return File{Adapters: map[string]Adapter{loop: {Type: loop}}, Default: loop}, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return File{}, err
	}
	if len(data) > maxFile {
		return File{}, fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	var f File
	if err := strictly(data, &f); err != nil {
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	if err := f.check(); err != nil {
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func strictly(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if decoder.More() {
		return errors.New("more than one JSON object")
	}
	return nil
}

var name = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// check reports every problem at once.
func (f File) check() error {
	var problems []error
	for n, a := range f.Adapters {
		if !name.MatchString(n) {
			problems = append(problems, fmt.Errorf("adapter %.64q: a name has 1 to 64 letters, digits, - and _", n))
		}
		if a.Account != "" && !domain.IsSID("AC", a.Account) {
			problems = append(problems, fmt.Errorf("adapter %s: account %.40q is no SID", n, a.Account))
		}
	}
	for mg, n := range f.MessagingServices {
		if _, ok := f.Adapters[n]; !ok || !domain.IsSID("MG", mg) {
			problems = append(problems, fmt.Errorf("messaging_services: %.40q to %.64q is not a Messaging Service to an adapter", mg, n))
		}
	}
	if _, ok := f.Adapters[f.Default]; f.Default != "" && !ok {
		problems = append(problems, fmt.Errorf("default: there is no adapter %.64q", f.Default))
	}
	for _, mg := range f.Autocreate {
		if !domain.IsSID("MG", mg) {
			problems = append(problems, fmt.Errorf("autocreate: %.40q is no Messaging Service", mg))
		}
	}
	return errors.Join(problems...)
}

// Routing returns who carries what.
func (f File) Routing() channels.Routing {
	r := channels.Routing{Services: f.MessagingServices, Default: f.Default, Autocreate: map[string]bool{}}
	for _, mg := range f.Autocreate {
		r.Autocreate[mg] = true
	}
	return r
}

// Open makes the adapters.
func (f File) Open(s Surroundings) ([]channels.Adapter, error) {
	var list []channels.Adapter
	var problems []error
	for n, a := range f.Adapters {
		c, err := a.open(s)
		if err != nil {
			problems = append(problems, fmt.Errorf("adapter %s: %w", n, err))
			continue
		}
		list = append(list, channels.Adapter{Name: n, Carrier: c, Account: a.Account})
	}
	return list, errors.Join(problems...)
}

func (a Adapter) open(s Surroundings) (carrier.Carrier, error) {
	switch a.Type {
	case loop:
		return configured(a, func(c loopback.Config) (carrier.Carrier, error) { return loopback.New(c, s.Token) })
	case "http":
		return configured(a, func(c gateway.Config) (carrier.Carrier, error) { return gateway.New(c, s.Transport) })
	case "twilio":
		return configured(a, func(c twilio.Config) (carrier.Carrier, error) { return twilio.New(c, s.Transport) })
	case "smpp":
		return configured(a, func(c smpp.Config) (carrier.Carrier, error) { return smpp.New(c, s.Logger) })
	}
	return nil, fmt.Errorf("type %.40q is none of loopback, http, twilio, smpp", a.Type)
}

// configured decodes the settings of a type strictly.
func configured[C any](a Adapter, open func(C) (carrier.Carrier, error)) (carrier.Carrier, error) {
	var c C
	if len(a.Settings) > 0 {
		if err := strictly(a.Settings, &c); err != nil {
			return nil, fmt.Errorf("settings: %w", err)
		}
	}
	return open(c)
}
