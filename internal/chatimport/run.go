package chatimport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store"
)

// Target is where the data goes.
type Target struct {
	// Execute carries a command out. It is called concurrently.
	Execute func(ctx context.Context, c engine.Command) (engine.Outcome, error)
	// Log is what the commands are written to.
	Log store.StreamReader
	// Account is whose data it will be: AC….
	Account string
}

// Options are settings; the zero value of each field works.
type Options struct {
	// Services are those to import, by SID. Nil: all.
	Services []string
	// Publicize imports public channels as private conversations.
	Publicize bool
	// Progress, if not nil, hears after every thing how many there were of each kind
	// so far. It is called by one goroutine at a time; the map is not to be kept.
	Progress func(counts map[string]int)
}

// ErrNoService says that the source has not the service that was asked for.
var ErrNoService = errors.New("the source has no such service")

// together is how many channels are imported at a time.
const together = 8

// Run imports, and compares what the log has then with the source. It returns one
// report for each service. After an error, running it again goes on.
func Run(ctx context.Context, source Source, target Target, options Options) ([]Report, error) {
	im := &importer{source: source, target: target, options: options, counts: map[string]int{}}
	services, err := im.services(ctx)
	if err != nil {
		return nil, err
	}
	var reports []Report
	for _, s := range services {
		r := Report{Source: source.String(), Service: s.Sid, FriendlyName: s.FriendlyName, NotTaken: s.notTaken()}
		if err := im.service(ctx, s, &r.Findings); err != nil {
			return nil, err
		}
		r.OK = len(r.Refused) == 0 && len(r.Differences) == 0
		reports = append(reports, r)
	}
	return reports, nil
}

// importer is one import.
type importer struct {
	source  Source
	target  Target
	options Options

	mu     sync.Mutex // guards counts, and is held while Progress is called
	counts map[string]int
}

func (im *importer) progress(kind string) {
	if im.options.Progress == nil {
		return
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	im.counts[kind]++
	im.options.Progress(im.counts)
}

// services are those that are asked for.
func (im *importer) services(ctx context.Context) ([]chatService, error) {
	var wanted []chatService
	for item, err := range im.source.Items(ctx, List{Path: "Services", Key: "services"}) {
		var s chatService
		if err == nil {
			err = item.decode(&s)
		}
		if err == nil {
			err = sound(item, "IS", s.Sid, s.DateCreated, within{})
		}
		if err != nil {
			return nil, err
		}
		if im.options.Services == nil || slices.Contains(im.options.Services, s.Sid) {
			wanted = append(wanted, s)
		}
	}
	for _, sid := range im.options.Services {
		if !slices.ContainsFunc(wanted, func(s chatService) bool { return s.Sid == sid }) {
			return nil, fmt.Errorf("%s: %w: %s", im.source, ErrNoService, sid)
		}
	}
	return wanted, nil
}

// command is one that an import sends. Its id follows from what it brings.
func (im *importer) command(kind, key, service, aggregate string, occurred time.Time, f fields) engine.Command {
	return engine.Command{
		ID: events.NameID("import chat " + kind + " " + key), Type: f.CommandType(), Aggregate: aggregate,
		Account: im.target.Account, Service: service, Actor: events.Actor{Kind: events.ActorImport},
		Fields: f, Occurred: occurred.UTC(), Correlation: "import chat " + service,
	}
}

func (im *importer) service(ctx context.Context, s chatService, f *Findings) error {
	stream := events.Stream(events.CategoryService, s.Sid)
	l, err := im.ledger(ctx, stream)
	if err != nil {
		return err
	}
	create := im.command(kindService, s.Sid, "", s.Sid, s.DateCreated, s.create())
	create.Correlation += s.Sid
	v, err := im.do(ctx, l, f, kindService, s.Sid, create)
	if err != nil || !v.there() {
		return err
	}
	if err := im.verifyOne(ctx, f, kindService, s.Sid, stream, v); err != nil {
		return err
	}
	for _, step := range []func(context.Context, chatService, ledger, *Findings) error{im.roles, im.settings} {
		if err := step(ctx, s, l, f); err != nil {
			return err
		}
	}
	users, err := im.users(ctx, s, f)
	if err != nil {
		return err
	}
	views, err := im.views(ctx, s, users)
	if err != nil {
		return err
	}
	return im.channels(ctx, s, views, f)
}

func (im *importer) roles(ctx context.Context, s chatService, _ ledger, f *Findings) error {
	for item, err := range im.source.Items(ctx, List{Path: "Services/" + s.Sid + "/Roles", Key: "roles"}) {
		var r chatRole
		if err == nil {
			err = item.decode(&r)
		}
		if err == nil {
			err = sound(item, "RL", r.Sid, r.DateCreated, within{"service", r.Service, s.Sid})
		}
		if err != nil {
			return err
		}
		c, dropped := r.create()
		if len(dropped) > 0 {
			f.drop(kindRole, r.Sid, "permissions", strings.Join(dropped, ", "))
		}
		err = im.alone(ctx, f, kindRole, r.Sid, events.CategoryRole, im.command(kindRole, r.Sid, s.Sid, r.Sid, r.DateCreated, c))
		if err != nil {
			return err
		}
	}
	return nil
}

// alone imports a thing that has a stream of its own, and looks whether it is there.
func (im *importer) alone(ctx context.Context, f *Findings, kind, sid, category string, c engine.Command) error {
	stream := events.Stream(category, sid)
	l, err := im.ledger(ctx, stream)
	if err != nil {
		return err
	}
	v, err := im.do(ctx, l, f, kind, sid, c)
	if err != nil {
		return err
	}
	return im.verifyOne(ctx, f, kind, sid, stream, v)
}

// settings are the default roles, push and webhooks.
func (im *importer) settings(ctx context.Context, s chatService, l ledger, f *Findings) error {
	send := func(kind string, c fields) error {
		_, err := im.do(ctx, l, f, kind, s.Sid, im.command(kind, s.Sid, s.Sid, s.Sid, time.Time{}, c))
		return err
	}
	if err := send("service_configuration", s.configure()); err != nil {
		return err
	}
	if c, some := s.notifications(); some {
		if err := send("service_notifications", c); err != nil {
			return err
		}
	}
	c, dropped, some := s.webhooks()
	if len(dropped) > 0 {
		f.drop(kindService, s.Sid, "webhook_filters", strings.Join(dropped, ", "))
	}
	if !some {
		return nil
	}
	return send("service_webhooks", c)
}

func (im *importer) users(ctx context.Context, s chatService, f *Findings) (users []chatUser, err error) {
	for item, err := range im.source.Items(ctx, List{Path: "Services/" + s.Sid + "/Users", Key: "users"}) {
		var u chatUser
		if err == nil {
			err = item.decode(&u)
		}
		if err == nil {
			err = sound(item, "US", u.Sid, u.DateCreated, within{"service", u.Service, s.Sid})
		}
		if err != nil {
			return nil, err
		}
		f.flagTexts(kindUser, u.Sid, item, &u)
		f.flagAttributes(kindUser, u.Sid, u.Attributes, partAttributes)
		err = im.alone(ctx, f, kindUser, u.Sid, events.CategoryUser, im.command(kindUser, u.Sid, s.Sid, u.Sid, u.DateCreated, u.create()))
		if err != nil {
			return nil, err
		}
		users = append(users, chatUser{Sid: u.Sid, Channels: u.Channels})
	}
	return users, nil
}

// view is how a member has a channel.
type view struct {
	level  string
	unread *int64
}

// views are those of all users, by MB….
func (im *importer) views(ctx context.Context, s chatService, users []chatUser) (map[string]view, error) {
	views := map[string]view{}
	for _, u := range users {
		if u.Channels != nil && *u.Channels == 0 {
			continue
		}
		list := List{Path: "Services/" + s.Sid + "/Users/" + u.Sid + "/Channels", Key: "channels", Optional: true}
		for item, err := range im.source.Items(ctx, list) {
			var c chatUserChannel
			if err == nil {
				err = item.decode(&c)
			}
			if err != nil {
				return nil, err
			}
			if c.Status == "joined" || c.Status == "" {
				views[c.Member] = view{c.Level, c.Unread}
			}
		}
	}
	return views, nil
}

// channels imports several at a time; each keeps its order within.
func (im *importer) channels(ctx context.Context, s chatService, views map[string]view, f *Findings) error {
	group, inside := errgroup.WithContext(ctx)
	group.SetLimit(together)
	var parts []*Findings
	err := im.eachChannel(inside, s, f, func(c chatChannel) {
		part := &Findings{}
		parts = append(parts, part)
		group.Go(func() error { return im.channel(inside, c, views, part) })
	})
	// What ended a channel also ends the list, so it comes first.
	if err := cmp.Or(group.Wait(), err); err != nil {
		return err
	}
	for _, part := range parts {
		f.add(part)
	}
	return nil
}
