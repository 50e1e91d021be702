package rest_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/store"
)

var everything = store.Filter{}

func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

func TestAConversationIsMadeAndRead(t *testing.T) {
	w := newWorld(t)
	made := w.must(http.MethodPost, "/v1/Conversations", form("UniqueName", "order-1042"))
	require.Equal(t, 201, made.status)
	got := w.must(http.MethodGet, "/v1/Conversations/order-1042", nil)
	require.Equal(t, made.text, got.text, "a read sees what was written")
	require.Equal(t, `"0"`, got.header.Get("ETag"))
}
