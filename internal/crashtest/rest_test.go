package crashtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/httpapi/rest"
)

// restDoor is the REST surface of a program that comes and goes, each time at
// another port.
type restDoor struct {
	folder string
	place  engine.Place
	token  string
}

func (p *program) restDoor() *restDoor {
	p.t.Helper()
	read := func(names ...string) string {
		text, err := os.ReadFile(filepath.Join(append([]string{p.data}, names...)...))
		require.NoError(p.t, err)
		return strings.TrimSpace(string(text))
	}
	d := &restDoor{folder: p.data, place: engine.Place{Account: read("account")}, token: read("secrets", "auth-token")}
	var configuration struct {
		Service string `json:"default_chat_service_sid"`
	}
	status, _, body, err := d.send(p.t.Context(), http.MethodGet, "/v1/Configuration", nil, "")
	require.NoError(p.t, err)
	require.Equal(p.t, http.StatusOK, status)
	require.NoError(p.t, json.Unmarshal(body, &configuration))
	d.place.Service = configuration.Service
	return d
}

// send sends one request to wherever the server is now.
func (d *restDoor) send(ctx context.Context, method, path string, form url.Values, key string) (status int, header http.Header, body []byte, err error) {
	var at struct{ HTTP string }
	data, err := os.ReadFile(filepath.Join(d.folder, "endpoints.json"))
	if err == nil {
		err = json.Unmarshal(data, &at)
	}
	if err != nil {
		return 0, nil, nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, at.HTTP+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, nil, err
	}
	r.SetBasicAuth(d.place.Account, d.token)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Idempotency-Key", key)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, nil, err
	}
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, response.Header, body, errors.Join(err, response.Body.Close())
}

// sayOverREST posts a message to the common conversation until it is answered, with
// one key for all attempts.
func (c *client) sayOverREST(ctx context.Context) error {
	path, key := "/v1/Conversations/"+c.common+"/Messages", fmt.Sprintf("%d-%d", c.number, c.random.Uint64())
	form := url.Values{"Body": {c.text()}}
	for ctx.Err() == nil {
		wait, cancel := context.WithTimeout(ctx, longestWait)
		status, header, body, err := c.rest.send(wait, http.MethodPost, path, form, key)
		cancel()
		switch {
		case err == nil && status == http.StatusCreated:
			outcome, err := restOutcome(header)
			outcome.CommandID = rest.CommandID(c.rest.place, "", http.MethodPost, path, c.common, key)
			c.ledger.ack(ack{c.number, outcome})
			return err
		case err == nil && status < http.StatusInternalServerError:
			return fmt.Errorf("POST %s answers %d: %s", path, status, body)
		}
		pause(ctx)
	}
	return ctx.Err()
}

// restOutcome is what the headers of an answer say.
func restOutcome(header http.Header) (o engine.Outcome, err error) {
	o.Events = []string{events.MessageAdded{}.EventType()}
	if o.Position, err = events.ParsePosition(header.Get("Parley-Position")); err != nil {
		return o, err
	}
	o.Revision, err = strconv.ParseInt(strings.Trim(header.Get("ETag"), `"`), 10, 64)
	return o, err
}
