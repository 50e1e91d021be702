package chatimport

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// RESTOptions are settings of a REST source; the zero value of each field works.
type RESTOptions struct {
	PageSize  int               // of every page; zero: 100
	Attempts  int               // after the first, at a page that was not given; zero: 8
	FirstWait time.Duration     // before the second attempt, then doubled; zero: a second
	MaxWait   time.Duration     // between two attempts, also where the service asks for more; zero: five minutes
	Transport http.RoundTripper // nil: a pool of connections of its own
}

// REST is Chat's REST API as a source.
type REST struct {
	base         *url.URL
	user, secret string
	pageSize     int
	client       *retryablehttp.Client
}

// NewREST returns the API at an address, https://chat.twilio.com, for an account or
// an API key and its secret. Without TLS an address must be this machine's own.
func NewREST(address, user, secret string, o RESTOptions) (*REST, error) {
	base, err := url.Parse(strings.TrimSuffix(strings.TrimSuffix(address, "/"), "/v2"))
	if err != nil {
		return nil, fmt.Errorf("address of the service: %w", err)
	}
	safe := base.Scheme == "https" || base.Scheme == "http" && loopback(base.Hostname())
	switch {
	case base.User != nil || base.RawQuery != "" || base.ForceQuery || strings.Contains(address, "#"):
		return nil, errors.New("the address of the service has neither credentials nor a query")
	case base.Host == "" || !safe:
		return nil, fmt.Errorf("%s is not an https address; secrets are not sent in the open", base.Redacted())
	case user == "" || secret == "":
		return nil, errors.New("the service needs an account or API key and its secret")
	}
	client := retryablehttp.NewClient()
	client.Logger = nil
	client.ErrorHandler = retryablehttp.PassthroughErrorHandler
	client.HTTPClient.Timeout = time.Minute
	if o.Transport != nil {
		client.HTTPClient.Transport = o.Transport
	}
	client.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.RetryMax = cmp.Or(o.Attempts, 8)
	client.RetryWaitMin = cmp.Or(o.FirstWait, time.Second)
	client.RetryWaitMax = cmp.Or(o.MaxWait, 5*time.Minute)
	client.Backoff = func(least, most time.Duration, attempt int, r *http.Response) time.Duration {
		return min(retryablehttp.DefaultBackoff(least, most, attempt, r), most)
	}
	return &REST{base: base, user: user, secret: secret, pageSize: cmp.Or(o.PageSize, 100), client: client}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// String implements Source.
func (r *REST) String() string { return r.base.String() }

// Items implements Source.
func (r *REST) Items(ctx context.Context, list List) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		at := r.base.JoinPath("v2", list.Path)
		at.RawQuery = fmt.Sprintf("PageSize=%d", r.pageSize)
		for seen := map[string]bool{}; at != nil; {
			if seen[at.String()] {
				yield(Item{}, fmt.Errorf("%s: the pages of this list go in a circle", at))
				return
			}
			seen[at.String()] = true
			items, next, err := r.page(ctx, at, list.Key)
			if err != nil {
				yield(Item{}, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			at = next
		}
	}
}

// page fetches one page; next is nil on the last.
func (r *REST) page(ctx context.Context, at *url.URL, key string) (items []Item, next *url.URL, err error) {
	data, err := r.get(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	p := &page{name: at.String(), data: data}
	if items, err = p.items(key); err != nil || p.next == "" {
		return items, nil, err
	}
	next, err = at.Parse(p.next)
	if err == nil && (next.Scheme != r.base.Scheme || next.Host != r.base.Host || next.User != nil) {
		err = fmt.Errorf("the next page would be on another host, %s", next.Redacted())
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", at, err)
	}
	return items, next, nil
}

func (r *REST) get(ctx context.Context, at *url.URL) ([]byte, error) {
	request, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth(r.user, r.secret)
	request.Header.Set("Accept", "application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read from the service: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, MaxPage+1))
	err = errors.Join(err, response.Body.Close())
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", at, err)
	case response.StatusCode != http.StatusOK:
		return nil, refusal(at, response.StatusCode, data)
	case len(data) > MaxPage:
		return nil, fmt.Errorf("%s: a page has at most %d bytes", at, MaxPage)
	}
	return data, nil
}

// refusal is what the service said in place of a page.
func refusal(at *url.URL, status int, body []byte) error {
	var said struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(body, &said); err != nil || said.Message == "" {
		return fmt.Errorf("%s: the service answered %d", at, status)
	}
	return fmt.Errorf("%s: the service answered %d: %.300q (code %d)", at, status, said.Message, said.Code)
}
