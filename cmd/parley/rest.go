package main

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/parley-engine/parley/internal/blob"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/httpapi"
	"github.com/parley-engine/parley/internal/httpapi/ratelimit"
	"github.com/parley-engine/parley/internal/httpapi/rest"
	"github.com/parley-engine/parley/projections"
)

// limitedKeys bounds the services and conversations whose rates are remembered.
const limitedKeys = 1 << 16

// rest is what Twilio's helper libraries talk to.
func (v *server) rest() (http.Handler, error) {
	key, err := v.folder.random("media-key", 32)
	if err != nil {
		return nil, err
	}
	urlKey, err := hex.DecodeString(key)
	if err != nil {
		return nil, err
	}
	return rest.New(rest.Config{
		Engine: v.engine, Models: v.models.Queries, Wait: v.models.Wait, Stamp: v.models.Stamp, Log: v.store, Fresh: v.fresh,
		Files: files{v.files}, URLKey: urlKey, PublicURL: v.settings.publicURL,
		Actions:  ratelimit.New(v.settings.actions, max(1, int(v.settings.actions)), limitedKeys),
		MaxMedia: v.settings.maxMedia, Before: v.hooks.Before, Logger: v.log,
	}), nil
}

func (v *server) serve() error {
	if v.settings.tlsCert != "" {
		return v.http.ServeTLS(v.listener, v.settings.tlsCert, v.settings.tlsKey)
	}
	return v.http.Serve(httpapi.Listener(v.listener))
}

// files are uploads as the REST surface keeps them.
type files struct{ store *blob.Store }

// Keep stores an upload.
func (f files) Keep(ctx context.Context, r io.Reader, limit int64) (string, int64, error) {
	kept, err := f.store.Put(ctx, r, limit)
	if errors.Is(err, blob.ErrTooLarge) {
		err = rest.ErrTooLarge
	}
	return kept.SHA256, kept.Size, err
}

// File opens an upload.
func (f files) File(sha256 string) (io.ReadSeekCloser, error) { return f.store.Get(sha256) }

// catchUp waits until the read models have everything that is in the log now.
func (v *server) catchUp(ctx context.Context) error {
	head, err := v.store.Head(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, rest.MaxWait)
	defer cancel()
	return v.models.Wait(ctx, head)
}

func (v *server) sweep(ctx context.Context, olderThan time.Time, held func(context.Context, string) (bool, error)) error {
	removed, bytes, err := v.files.Sweep(ctx, olderThan, held)
	if removed > 0 {
		v.log.Info("media swept", "files", removed, "bytes", bytes)
	}
	return err
}

// memberships lists where an identity takes part, as of the log's head.
func (v *server) memberships(ctx context.Context, service, identity string) (all []engine.Membership, err error) {
	if err := v.catchUp(ctx); err != nil {
		return nil, err
	}
	err = pages(0, func(p projections.Page) (projections.List[projections.ParticipantConversation], error) {
		return v.models.ParticipantConversationsByIdentity(ctx, service, identity, p)
	}, func(place projections.ParticipantConversation) error {
		p := place.Participant
		all = append(all, engine.Membership{Conversation: p.ConversationSid, Participant: p.Sid, User: p.UserSid})
		return nil
	})
	return all, err
}

func (v *server) roleInUse(ctx context.Context, service, role string) (bool, error) {
	if err := v.catchUp(ctx); err != nil {
		return false, err
	}
	return v.models.RoleInUse(ctx, service, role)
}
