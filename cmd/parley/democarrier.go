package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-engine/parley/projections"
)

// chooseCarrier has the simulated carrier be as bad as carriers are.
func (d *demo) chooseCarrier() error {
	const file = `{
  "adapters": {"loopback": {"type": "loopback", "settings": {"delay": "5ms", "shuffle": true}}},
  "default": "loopback"
}
`
	return writeFile(d.carrier, []byte(file))
}

// patiently looks again and again until it finds what it looks for, or time is up.
func patiently(ctx context.Context, look func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		err := look()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (d *demo) checkReceipts(ctx context.Context) (string, error) {
	told := ""
	err := patiently(ctx, func() error {
		messages, err := rows[projections.Message](ctx, d, "message", "list", storyName)
		if err != nil {
			return err
		}
		for _, m := range messages[:storyMessages] {
			s := m.Delivery
			if s == nil || s.Total != 2 || s.Delivered != projections.All || s.Read != projections.Some {
				return fmt.Errorf("delivery of message %d is %+v", m.Index, s)
			}
		}
		s := messages[0].Delivery
		told = fmt.Sprintf("each of %d messages: delivered by %s, read by %s of %d, over SMS and WhatsApp", storyMessages, s.Delivered, s.Read, s.Total)
		return nil
	})
	return told, err
}

func (d *demo) checkInbound(ctx context.Context) (string, error) {
	messages, err := rows[projections.Message](ctx, d, "message", "list", storyName)
	if err != nil {
		return "", err
	}
	if last := messages[len(messages)-1]; last.Author != storyPhone || last.ParticipantSid == "" {
		return "", fmt.Errorf("the last message is of %q", last.Author)
	}
	var begun []string
	err = patiently(ctx, func() error {
		all, err := rows[projections.Conversation](ctx, d, "conversation", "list")
		begun = nil
		for _, c := range all {
			if c.FriendlyName == storyStranger && c.LastMessageIndex == 0 {
				begun = append(begun, c.Sid)
			}
		}
		if err == nil && len(begun) != 1 {
			err = errors.New("the stranger's message, which came twice, did not begin one conversation")
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s answers in %s; %s has %s, one conversation with one message", storyPhone, storyName, storyStranger, begun[0]), nil
}
