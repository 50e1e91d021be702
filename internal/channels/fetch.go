package channels

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/reactor/guard"
)

// Fetcher gets the files of messages from where carriers have them.
type Fetcher struct {
	// Client makes the requests. It should guard against addresses that only this
	// machine can reach, and follow no redirects.
	Client *http.Client
	// Put keeps what the reader yields and returns its hash and size. What is longer
	// than the limit is an error.
	Put   func(ctx context.Context, r io.Reader, limit int64) (sha256 string, size int64, err error)
	Limit int64 // bytes of a file
}

// Keep fetches a file. A *carrier.Refused says that it cannot be had; after any other
// error it may be later.
func (f Fetcher) Keep(ctx context.Context, m carrier.Media) (file events.Media, sha256 string, err error) {
	address, err := guard.Address(m.URL)
	if err != nil {
		return file, "", &carrier.Refused{Reason: "the file's address is none"}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return file, "", err
	}
	response, err := f.Client.Do(r)
	if err != nil {
		return file, "", err
	}
	defer func() { _ = response.Body.Close() }() // it was read, or is of no use
	switch {
	case response.StatusCode >= http.StatusInternalServerError, response.StatusCode == http.StatusTooManyRequests:
		return file, "", fmt.Errorf("the carrier answered %s for a file", response.Status)
	case response.StatusCode != http.StatusOK:
		return file, "", &carrier.Refused{Reason: "the carrier answered " + response.Status + " for a file"}
	case response.ContentLength > f.Limit:
		return file, "", &carrier.Refused{Reason: fmt.Sprintf("a file has more than %d bytes", f.Limit)}
	}
	body := &counted{r: response.Body, limit: f.Limit}
	sha256, size, err := f.Put(ctx, body, f.Limit)
	if body.read > f.Limit {
		return file, "", &carrier.Refused{Reason: fmt.Sprintf("a file has more than %d bytes", f.Limit)}
	}
	return events.Media{ContentType: contentType(m, response), Filename: filename(response), Size: size}, sha256, err
}

// counted counts what was read.
type counted struct {
	r           io.Reader
	read, limit int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.read += int64(n)
	return n, err
}

// contentType is what the carrier said of the file, else its server, else nothing in
// particular.
func contentType(m carrier.Media, r *http.Response) string {
	for _, text := range []string{m.ContentType, r.Header.Get("Content-Type")} {
		if name, _, err := mime.ParseMediaType(text); err == nil {
			return name
		}
	}
	return "application/octet-stream"
}

func filename(r *http.Response) string {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Disposition"))
	if err != nil || params["filename"] == "" {
		return ""
	}
	return path.Base(domain.CarriedText(params["filename"]))
}
