package chatimport_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/chatimport"
)

// answers is a connection to a service that is a function.
type answers func(w http.ResponseWriter)

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	f(w)
	response := w.Result()
	response.Request = r
	return response, nil
}

func TestTheServiceSaysHowLongToWait(t *testing.T) {
	for _, row := range []struct {
		name   string
		after  string
		status int
		waits  time.Duration
	}{
		{"as long as it asks", "90", http.StatusTooManyRequests, 90 * time.Second},
		{"also when it is not available", "7", http.StatusServiceUnavailable, 7 * time.Second},
		{"but not for ever", "86400", http.StatusTooManyRequests, 5 * time.Minute},
		{"a second when it says nothing", "", http.StatusTooManyRequests, time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				source, err := chatimport.NewREST("https://chat.example", "AC1", "secret", chatimport.RESTOptions{Transport: answers(func(w http.ResponseWriter) {
					if asked++; asked > 1 {
						write(w, `{"services":[]}`)
						return
					}
					if row.after != "" {
						w.Header().Set("Retry-After", row.after)
					}
					w.WriteHeader(row.status)
				})})
				require.NoError(t, err)
				begun := time.Now()
				for _, err := range source.Items(t.Context(), chatimport.List{Path: "Services", Key: "services"}) {
					require.NoError(t, err)
				}
				require.Equal(t, row.waits, time.Since(begun))
			})
		})
	}
}

// A service that gives up nothing is not asked for ever.
func TestTheServiceIsNotAskedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		source, err := chatimport.NewREST("https://chat.example", "AC1", "secret", chatimport.RESTOptions{Transport: answers(func(w http.ResponseWriter) {
			asked++
			w.WriteHeader(http.StatusInternalServerError)
		})})
		require.NoError(t, err)
		var last error
		for _, err := range source.Items(t.Context(), chatimport.List{Path: "Services", Key: "services"}) {
			last = err
		}
		require.ErrorContains(t, last, "the service answered 500")
		require.Equal(t, 9, asked)
	})
}
