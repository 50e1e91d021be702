package rest_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/httpapi/rest"
)

func TestWebhooksAreAskedAboutWhatTheyAreToHearOf(t *testing.T) {
	var asked []string
	var refuse error
	w := newWorld(t, func(c *rest.Config) {
		c.Before = func(_ context.Context, do engine.Command) (engine.Command, error) {
			asked = append(asked, do.Type)
			if add, is := do.Fields.(conversation.AddMessage); is {
				add.Body = "replaced"
				do.Fields = add
			}
			return do, refuse
		}
	})
	w.attachable()
	j := w.judge(t)
	in := j.conversation()
	j.do("CreateConversationMessage", []string{in}, params{"Body": "m"})
	require.Empty(t, asked, "nobody said that webhooks are to hear of it")
	made := j.do("CreateConversationMessage", []string{in}, params{"Body": "m", "XTwilioWebhookEnabled": "true"})
	require.Equal(t, []string{"conversation.add-message"}, asked)
	require.Equal(t, "replaced", made["body"])
	refuse = &engine.Failure{Kind: "permission_denied", Code: "webhook_refused", Twilio: 50056, Message: "The webhook refused this"}
	_, err := j.try("CreateConversationMessage", []string{in}, params{"Body": "m", "XTwilioWebhookEnabled": "true"})
	requireRefused(t, err, 403, 50056)
}
