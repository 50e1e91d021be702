package rest_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twilio/twilio-go/client"
)

// requireRefused checks an error as Twilio's library hands it on.
func requireRefused(t testing.TB, err error, status, code int) client.TwilioRestError {
	t.Helper()
	var refused *client.TwilioRestError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, [2]int{status, code}, [2]int{refused.Status, refused.Code}, refused.Error())
	return *refused
}
