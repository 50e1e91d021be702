package projections

import (
	"time"

	"github.com/parley-engine/parley/events"
)

func (f *fold) accountCreated(r *events.Recorded, sid string, e events.AccountCreated) error {
	return f.accounts.add(sid, Account{
		id: f.event, Sid: sid, ParentSid: e.Parent, FriendlyName: e.FriendlyName,
		DateCreated: stored(e.At), DateUpdated: stored(e.At), LastRevision: r.Revision, Position: r.Position,
	})
}

func (f *fold) applyAccount(r *events.Recorded, sid string, e events.Event) error {
	row, err := find(f.accounts, sid, sid)
	if err != nil {
		return err
	}
	a := &row.row
	a.LastRevision, a.Position = r.Revision, r.Position
	f.accounts.mark(row, plainChange)
	switch e := e.(type) {
	case events.AccountConfigured:
		a.DefaultChatServiceSid, a.DefaultMessagingServiceSid = e.DefaultService, e.DefaultMessagingService
		a.DefaultInactiveTimer, a.DefaultClosedTimer = e.DefaultTimers.Inactive, e.DefaultTimers.Closed
		a.DateUpdated = stored(e.At)
	case events.AccountWebhooksConfigured:
		a.Webhooks, a.DateUpdated = e.Webhooks, stored(e.At)
	case events.AccountAuthTokenSet: // secrets are in no row
	case events.MessagingServiceAdded:
		return f.messagingServiceAdded(sid, e)
	}
	return nil
}

// lossAccepted changes nothing but where the account's stream is. The account's own first
// event may be among what was lost.
func (f *fold) lossAccepted(r *events.Recorded, sid string) error {
	row, err := f.accounts.get(sid)
	if err != nil || row == nil {
		return err
	}
	row.row.LastRevision, row.row.Position = r.Revision, r.Position
	f.accounts.mark(row, plainChange)
	return nil
}

// messagingServiceAdded: adding one that is known replaces it.
func (f *fold) messagingServiceAdded(account string, e events.MessagingServiceAdded) error {
	row, err := f.messagingServices.get(e.MessagingService)
	if err != nil {
		return err
	}
	if row == nil {
		return f.messagingServices.add(e.MessagingService, MessagingService{
			id: f.event, Sid: e.MessagingService, AccountSid: account, FriendlyName: e.FriendlyName,
			Senders: e.Senders, DateCreated: stored(e.At), DateUpdated: stored(e.At),
		})
	}
	row.row.FriendlyName, row.row.Senders, row.row.DateUpdated = e.FriendlyName, e.Senders, stored(e.At)
	f.messagingServices.mark(row, plainChange)
	return nil
}

// born is when a thing began: in an import the date it had where it comes from.
func born(r *events.Recorded, at time.Time) time.Time {
	if r.Metadata.Actor.Kind == events.ActorImport && !r.Metadata.Occurred.IsZero() {
		return stored(r.Metadata.Occurred)
	}
	return stored(at)
}

func (f *fold) serviceCreated(r *events.Recorded, sid string, e events.ServiceCreated) error {
	return f.services.add(sid, Service{
		id: f.event, Sid: sid, AccountSid: e.Account, FriendlyName: e.FriendlyName,
		DateCreated: born(r, e.At), DateUpdated: born(r, e.At), LastRevision: r.Revision, Position: r.Position,
	})
}

func (f *fold) applyService(r *events.Recorded, sid string, e events.Event) error {
	row, err := find(f.services, sid, sid)
	if err != nil {
		return err
	}
	s := &row.row
	s.LastRevision, s.Position = r.Revision, r.Position
	f.services.mark(row, plainChange)
	switch e := e.(type) {
	case events.ServiceConfigured:
		s.DefaultConversationCreatorRoleSid = e.CreatorRole
		s.DefaultConversationRoleSid = e.ConversationRole
		s.DefaultChatServiceRoleSid = e.ServiceRole
		s.ReachabilityEnabled, s.DateUpdated = e.ReachabilityEnabled, stored(e.At)
	case events.ServiceWebhooksConfigured:
		s.Webhooks, s.DateUpdated = e.Webhooks, stored(e.At)
	case events.ServiceNotificationsConfigured:
		s.Notifications, s.DateUpdated = e.Notifications, stored(e.At)
	case events.ServiceRemoved: // what it holds is removed by its own events
		s.DateRemoved = stored(e.At)
		f.services.mark(row, indexedChange)
	}
	return nil
}

func (f *fold) userCreated(r *events.Recorded, sid string, e events.UserCreated) error {
	return f.users.add(sid, User{
		id: f.event, Sid: sid, AccountSid: e.Account, ChatServiceSid: e.Service, Identity: e.Identity,
		FriendlyName: e.FriendlyName, Attributes: attributes(e.Attributes), RoleSid: e.Role,
		DateCreated: born(r, e.At), DateUpdated: born(r, e.At), LastRevision: r.Revision, Position: r.Position,
	})
}

func (f *fold) applyUser(r *events.Recorded, sid string, e events.Event) error {
	row, err := find(f.users, sid, sid)
	if err != nil {
		return err
	}
	u := &row.row
	u.LastRevision, u.Position = r.Revision, r.Position
	f.users.mark(row, plainChange)
	switch e := e.(type) {
	case events.UserFriendlyNameChanged:
		u.FriendlyName, u.DateUpdated = e.FriendlyName, stored(e.At)
	case events.UserAttributesChanged:
		u.Attributes, u.DateUpdated = attributes(e.Attributes), stored(e.At)
	case events.UserRoleChanged:
		u.RoleSid, u.DateUpdated = e.Role, stored(e.At)
	case events.UserRemoved: // participants stay
		f.users.drop(row)
	}
	return nil
}

func (f *fold) roleCreated(r *events.Recorded, sid string, e events.RoleCreated) error {
	return f.roles.add(sid, Role{
		id: f.event, Sid: sid, AccountSid: e.Account, ChatServiceSid: e.Service, FriendlyName: e.FriendlyName,
		Type: e.Type, Permissions: e.Permissions,
		DateCreated: born(r, e.At), DateUpdated: born(r, e.At), LastRevision: r.Revision, Position: r.Position,
	})
}

func (f *fold) applyRole(r *events.Recorded, sid string, e events.Event) error {
	row, err := find(f.roles, sid, sid)
	if err != nil {
		return err
	}
	row.row.LastRevision, row.row.Position = r.Revision, r.Position
	f.roles.mark(row, plainChange)
	switch e := e.(type) {
	case events.RolePermissionsReplaced:
		row.row.Permissions, row.row.DateUpdated = e.Permissions, stored(e.At)
	case events.RoleRemoved:
		f.roles.drop(row)
	}
	return nil
}
