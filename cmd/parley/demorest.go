package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// restClient speaks to the engine as Twilio's helper libraries do: HTTP Basic,
// forms in, JSON out.
type restClient struct {
	base, account, token string
}

func (d *demo) restClient() (restClient, error) {
	e, err := d.folder.running()
	if err != nil {
		return restClient{}, err
	}
	account, err := d.folder.knownAccount()
	if err != nil {
		return restClient{}, err
	}
	token, err := d.folder.known(authToken)
	return restClient{e.HTTP, account, token}, err
}

// do sends a request and reads the answer into what is given.
func (c restClient) do(ctx context.Context, method, path string, form url.Values, headers http.Header, into any) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name := range headers {
		r.Header.Set(name, headers.Get(name))
	}
	r.SetBasicAuth(c.account, c.token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return 0, err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return 0, fmt.Errorf("%s %s answers %s: %w", method, path, response.Status, err)
	}
	return response.StatusCode, nil
}

// restAnswer is what the story looks at of any answer.
type restAnswer struct {
	Sid   string `json:"sid"`
	State string `json:"state"`
	Index int64  `json:"index"`
	Code  int    `json:"code"`
}

func (d *demo) checkREST(ctx context.Context) (string, error) {
	c, err := d.restClient()
	if err != nil {
		return "", err
	}
	sid, err := d.conversation()
	if err != nil {
		return "", err
	}
	var read, made, first, again, taken restAnswer
	status, err := c.do(ctx, http.MethodGet, "/v1/Conversations/"+storyName, nil, nil, &read)
	if err != nil || status != http.StatusOK || read.Sid != sid {
		return "", errors.Join(err, fmt.Errorf("%s is %q with status %d, not %s", storyName, read.Sid, status, sid))
	}
	if status, err = c.do(ctx, http.MethodPost, "/v1/Conversations", url.Values{"UniqueName": {"order-2"}}, nil, &made); err != nil || status != http.StatusCreated {
		return "", errors.Join(err, fmt.Errorf("creating answers %d", status))
	}
	path, once := "/v1/Conversations/"+made.Sid+"/Messages", http.Header{"Idempotency-Key": {"the same request"}}
	for _, answer := range []*restAnswer{&first, &again} {
		if status, err = c.do(ctx, http.MethodPost, path, url.Values{"Author": {"ann"}, "Body": {"Hello"}}, once, answer); err != nil || status != http.StatusCreated {
			return "", errors.Join(err, fmt.Errorf("the message answers %d", status))
		}
	}
	if first.Sid == "" || first != again {
		return "", fmt.Errorf("the same request made %s and then %s", first.Sid, again.Sid)
	}
	if status, err = c.do(ctx, http.MethodPost, "/v1/Conversations", url.Values{"UniqueName": {"order-2"}}, nil, &taken); err != nil || status != http.StatusConflict || taken.Code != 50353 {
		return "", errors.Join(err, fmt.Errorf("a taken name answers %d, code %d", status, taken.Code))
	}
	return fmt.Sprintf("GET %s: %s\nthe same POST twice: one message, %s\na unique name twice: 409, code 50353", storyName, read.State, first.Sid), nil
}
