package projections

import "github.com/parley-engine/parley/events"

func (f *fold) apiKeyCreated(r *events.Recorded, sid string, e events.APIKeyCreated) error {
	return f.apiKeys.add(sid, APIKey{
		id: f.event, Sid: sid, AccountSid: e.Account, FriendlyName: e.FriendlyName,
		DateCreated: stored(e.At), DateUpdated: stored(e.At), LastRevision: r.Revision, Position: r.Position,
	})
}

func (f *fold) applyAPIKey(r *events.Recorded, sid string, e events.Event) error {
	row, err := find(f.apiKeys, sid, sid)
	if err != nil {
		return err
	}
	row.row.LastRevision, row.row.Position = r.Revision, r.Position
	f.apiKeys.mark(row, plainChange)
	switch e := e.(type) {
	case events.APIKeySecretReplaced:
		row.row.DateUpdated = stored(e.At)
	case events.APIKeyRevoked:
		f.apiKeys.drop(row)
	}
	return nil
}

func (f *fold) credentialCreated(r *events.Recorded, sid string, e events.CredentialCreated) error {
	return f.credentials.add(sid, Credential{
		id: f.event, Sid: sid, AccountSid: e.Account, FriendlyName: e.FriendlyName, Type: e.Type, Sandbox: e.Sandbox,
		DateCreated: stored(e.At), DateUpdated: stored(e.At), LastRevision: r.Revision, Position: r.Position,
	})
}

func (f *fold) applyCredential(r *events.Recorded, sid string, e events.Event) error {
	row, err := find(f.credentials, sid, sid)
	if err != nil {
		return err
	}
	c := &row.row
	c.LastRevision, c.Position = r.Revision, r.Position
	f.credentials.mark(row, plainChange)
	switch e := e.(type) {
	case events.CredentialUpdated:
		c.Type, c.FriendlyName, c.Sandbox, c.DateUpdated = e.Type, e.FriendlyName, e.Sandbox, stored(e.At)
	case events.CredentialRemoved: // bindings stay
		f.credentials.drop(row)
	}
	return nil
}

func (f *fold) bindingCreated(r *events.Recorded, sid string, e events.BindingCreated) error {
	return f.pushBindings.add(sid, PushBinding{
		id: f.event, Sid: sid, AccountSid: e.Account, ChatServiceSid: e.Service, CredentialSid: e.Credential,
		Endpoint: e.Endpoint, Identity: e.Identity, BindingType: e.Type, MessageTypes: e.MessageTypes,
		DateCreated: stored(e.At), DateUpdated: stored(e.At), LastRevision: r.Revision, Position: r.Position,
	})
}

func (f *fold) applyBinding(r *events.Recorded, sid string, e events.Event) error {
	row, err := find(f.pushBindings, sid, sid)
	if err != nil {
		return err
	}
	b := &row.row
	b.LastRevision, b.Position = r.Revision, r.Position
	f.pushBindings.mark(row, plainChange)
	switch e := e.(type) {
	case events.BindingUpdated:
		b.CredentialSid, b.MessageTypes, b.DateUpdated = e.Credential, e.MessageTypes, stored(e.At)
	case events.BindingRemoved:
		f.pushBindings.drop(row)
	}
	return nil
}

func (f *fold) addressCreated(r *events.Recorded, sid string, e events.AddressConfigurationCreated) error {
	return f.addresses.add(sid, AddressConfiguration{
		id: f.event, Sid: sid, AccountSid: e.Account, Type: e.Type, Address: e.Address,
		FriendlyName: e.FriendlyName, AddressCountry: e.Country, AutoCreation: e.AutoCreation,
		DateCreated: stored(e.At), DateUpdated: stored(e.At), LastRevision: r.Revision, Position: r.Position,
	})
}

func (f *fold) applyAddress(r *events.Recorded, sid string, e events.Event) error {
	row, err := find(f.addresses, sid, sid)
	if err != nil {
		return err
	}
	a := &row.row
	a.LastRevision, a.Position = r.Revision, r.Position
	f.addresses.mark(row, plainChange)
	switch e := e.(type) {
	case events.AddressConfigurationUpdated:
		a.FriendlyName, a.AutoCreation, a.DateUpdated = e.FriendlyName, e.AutoCreation, stored(e.At)
	case events.AddressConfigurationRemoved:
		f.addresses.drop(row)
	}
	return nil
}
