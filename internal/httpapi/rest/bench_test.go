package rest_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/engine"
)

// Each figure is a ratio to a yardstick that was measured in turns with it. The
// clients run in the same process and take their share of the processor, on both
// sides.

const (
	benchRounds  = 5
	benchCallers = 8
	benchLength  = 400 * time.Millisecond
)

// load has callers do something over and over for a while.
func load(b *testing.B, callers int, length time.Duration, do func(caller int) error) []time.Duration {
	b.Helper()
	times := make([][]time.Duration, callers)
	end := time.Now().Add(length)
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			for time.Now().Before(end) {
				begun := time.Now()
				if err := do(caller); err != nil {
					b.Error(err)
					return
				}
				times[caller] = append(times[caller], time.Since(begun))
			}
		})
	}
	group.Wait()
	all := slices.Concat(times...)
	slices.Sort(all)
	return all
}

// against measures ours and the yardstick in turns and prints the ratio of rates.
// settle is called before each turn, so that none works off what another left.
func against(b *testing.B, what string, settle func(), target float64, callers int, length time.Duration, ours, bare func(caller int) error) {
	b.Helper()
	var ratios []float64
	var last []time.Duration
	for range benchRounds {
		settle()
		yardstick := load(b, callers, length, bare)
		settle()
		last = load(b, callers, length, ours)
		ratios = append(ratios, float64(len(last))/float64(len(yardstick)))
	}
	slices.Sort(ratios)
	ratio := ratios[len(ratios)/2]
	fmt.Printf("ratio %.2f target >= %.2f: %s (%.0f/s, p50 %v, p99 %v)\n", ratio, target, what,
		float64(len(last))/length.Seconds(), last[len(last)/2].Round(time.Microsecond), last[len(last)*99/100].Round(time.Microsecond))
	b.ReportMetric(ratio, "ratio")
}

// settle waits until the read models have what was written.
func (w *world) settle() { require.NoError(w.t, w.caughtUp(context.Background())) }

// getter asks for an address with credentials and reads all of the answer.
func getter(b *testing.B, client *http.Client, address, user, secret string) func(int) error {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, nil)
	require.NoError(b, err)
	r.SetBasicAuth(user, secret)
	return func(int) error {
		response, err := client.Do(r.Clone(context.Background()))
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, response.Body)
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d", response.StatusCode)
		}
		_ = response.Body.Close()
		return err
	}
}

func benchClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}}
}

// reading compares a path with a handler that only sends the same bytes.
func reading(b *testing.B, w *world, what string, path string) {
	body := []byte(w.must(http.MethodGet, path, nil).text)
	bare := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		answer.Header()["Content-Type"] = []string{"application/json;charset=utf-8"}
		_, _ = answer.Write(body)
	}))
	defer bare.Close()
	client := benchClient()
	against(b, what, w.settle, 0.5, benchCallers, benchLength, getter(b, client, w.server.URL+path, w.account, w.token), getter(b, client, bare.URL, w.account, w.token))
}

func BenchmarkReading(b *testing.B) {
	w := newWorld(b)
	ch := w.must(http.MethodPost, "/v1/Conversations", form("UniqueName", "bench")).str("sid")
	for i := range 120 {
		w.must(http.MethodPost, "/v1/Conversations/"+ch+"/Messages", form("Author", "ann", "Body", strings.Repeat("hello ", 20)+fmt.Sprint(i)))
	}
	b.Run("conversation", func(b *testing.B) {
		reading(b, w, "GET one conversation, rate to a handler that sends the same bytes", "/v1/Conversations/"+ch)
	})
	b.Run("messages", func(b *testing.B) {
		reading(b, w, "list 50 messages, rate to a handler that sends the same bytes", "/v1/Conversations/"+ch+"/Messages?PageSize=50")
	})
}

// poster sends the same request over and over on a connection of its own. It
// writes prepared bytes, so that what is measured is the server and not a client
// library on the same processor.
func poster(b *testing.B, w *world, path, body string) func() error {
	address := strings.TrimPrefix(w.server.URL, "http://")
	conn, err := net.Dial("tcp", address)
	require.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close() })
	credentials := base64.StdEncoding.EncodeToString([]byte(w.account + ":" + w.token))
	request := []byte(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		path, address, credentials, len(body), body))
	answers := bufio.NewReader(conn)
	return func() error {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		return created(answers)
	}
}

// created reads an answer that must be 201, with no more than it takes.
func created(answers *bufio.Reader) error {
	var length int
	for first := true; ; first = false {
		line, err := answers.ReadSlice('\n')
		if err != nil {
			return err
		}
		text := strings.TrimRight(string(line), "\r\n")
		if first && !strings.Contains(text, " 201 ") {
			return fmt.Errorf("answer is %q", text)
		}
		if text == "" {
			break
		}
		if n, ok := strings.CutPrefix(text, "Content-Length: "); ok {
			if length, err = strconv.Atoi(n); err != nil {
				return err
			}
		}
	}
	_, err := answers.Discard(length)
	return err
}

// A message through HTTP against the same command given to the engine directly,
// both durable when they are answered.
func BenchmarkPostMessage(b *testing.B) {
	const callers = 64
	w := newWorld(b)
	var talks []string
	for range callers {
		talks = append(talks, w.must(http.MethodPost, "/v1/Conversations", nil).str("sid"))
	}
	text := strings.Repeat("hello ", 45)
	post := make([]func() error, callers)
	for caller := range callers {
		post[caller] = poster(b, w, "/v1/Conversations/"+talks[caller]+"/Messages", form("Author", "ann", "Body", text).Encode())
	}
	direct := json.RawMessage(`{"author":"ann","body":"` + text + `"}`)
	execute := func(caller int) error {
		_, err := w.engine.Execute(context.Background(), engine.Command{Type: "conversation.add-message", Aggregate: talks[caller], Body: direct})
		return err
	}
	against(b, "POST message at 64 clients, rate to the engine's own durable commands", w.settle, 0.6, callers, 2*time.Second, func(caller int) error { return post[caller]() }, execute)
}

// A page costs the same however deep it lies, and however many conversations
// there are.
func BenchmarkListDepth(b *testing.B) {
	few, many := newWorld(b), newWorld(b)
	populate(b, few, 2_000)
	populate(b, many, 100_000)
	client := benchClient()
	first := func(w *world) func(int) error {
		return getter(b, client, w.server.URL+"/v1/Conversations?PageSize=100", w.account, w.token)
	}
	against(b, "a page of 100 000 conversations, rate to a page of 2 000", many.settle, 0.8, 1, benchLength, first(many), first(few))
	deep := getter(b, client, deepPage(b, many, 900), many.account, many.token)
	against(b, "page 900 of a list, rate to its first page", many.settle, 0.8, 1, benchLength, deep, first(many))
}

// populate makes so many conversations and waits until they can be read.
func populate(b *testing.B, w *world, n int) {
	b.Helper()
	const workers = 32
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < n; i += workers {
				if _, err := w.engine.Execute(context.Background(), engine.Command{Type: "conversation.create"}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	require.NoError(b, w.caughtUp(context.Background()))
}

// deepPage walks so many pages of 100 and returns the address of the next one.
func deepPage(b *testing.B, w *world, pages int) string {
	b.Helper()
	address := "/v1/Conversations?PageSize=100"
	for range pages {
		var page struct {
			Meta struct {
				Next string `json:"next_page_url"`
			} `json:"meta"`
		}
		require.NoError(b, json.Unmarshal([]byte(w.must(http.MethodGet, address, nil).text), &page))
		address = strings.TrimPrefix(page.Meta.Next, w.server.URL)
	}
	return w.server.URL + address
}
