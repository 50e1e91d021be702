package projections

import (
	"context"
	"encoding/json"
	"errors"

	"zombiezen.com/go/sqlite"
)

// APIKey returns an API key that was not revoked.
func (q *Queries) APIKey(ctx context.Context, sid string) (APIKey, error) {
	return bySid(ctx, q, apiKeyTable, sid)
}

// APIKeys lists an account's in the order they were created.
func (q *Queries) APIKeys(ctx context.Context, account string, page Page) (List[APIKey], error) {
	return pageOf(ctx, q, apiKeysOf(account), page)
}

func apiKeysOf(account string) listing[APIKey] {
	return listing[APIKey]{
		columns: apiKeyTable.columns, from: "FROM api_key WHERE account_sid = ?", args: []any{account},
		order: []string{"id"}, key: func(k APIKey) Key { return byID(k.id) }, bind: bindID,
	}
}

// Credential returns a push credential.
func (q *Queries) Credential(ctx context.Context, sid string) (Credential, error) {
	return bySid(ctx, q, credentialTable, sid)
}

// Credentials lists an account's in the order they were created.
func (q *Queries) Credentials(ctx context.Context, account string, page Page) (List[Credential], error) {
	return pageOf(ctx, q, credentialsOf(account), page)
}

func credentialsOf(account string) listing[Credential] {
	return listing[Credential]{
		columns: credentialTable.columns, from: "FROM credential WHERE account_sid = ?", args: []any{account},
		order: []string{"id"}, key: func(c Credential) Key { return byID(c.id) }, bind: bindID,
	}
}

// PushBinding returns a device's registration.
func (q *Queries) PushBinding(ctx context.Context, sid string) (PushBinding, error) {
	return bySid(ctx, q, pushBindingTable, sid)
}

// PushBindingFilter selects push bindings. Service is required; an empty list
// selects nothing out, of several values any will do.
type PushBindingFilter struct {
	Service    string
	Types      []string // apn, gcm, fcm, twilsock
	Identities []string
}

// PushBindings lists devices in the order they were registered.
func (q *Queries) PushBindings(ctx context.Context, filter PushBindingFilter, page Page) (List[PushBinding], error) {
	return pageOf(ctx, q, pushBindingsOf(filter), page)
}

// pushBindingsOf goes by identity when there are some: a person has few devices,
// which are sorted; a service may have millions.
func pushBindingsOf(filter PushBindingFilter) listing[PushBinding] {
	l := listing[PushBinding]{
		columns: pushBindingTable.columns, from: "FROM push_binding WHERE chat_service_sid = ?", args: []any{filter.Service},
		order: []string{"id"}, key: func(b PushBinding) Key { return byID(b.id) }, bind: bindID,
	}
	if len(filter.Identities) > 0 {
		l.from = "FROM push_binding INDEXED BY push_binding_2 WHERE chat_service_sid = ?"
		l.where("identity IN "+anyOf, jsonOf(filter.Identities))
	}
	if len(filter.Types) > 0 {
		l.where("binding_type IN "+anyOf, jsonOf(filter.Types))
	}
	return l
}

// anyOf is a set of texts as one parameter: the statement is the same for any
// number of them.
const anyOf = "(SELECT value FROM json_each(?))"

func jsonOf(texts []string) string {
	data, _ := json.Marshal(texts) // texts always marshal
	return string(data)
}

// AddressConfiguration returns a configuration by SID or, within its account, by
// the address. With an empty account only a SID is understood.
func (q *Queries) AddressConfiguration(ctx context.Context, account, ref string) (a AddressConfiguration, err error) {
	err = q.view(ctx, func(conn *sqlite.Conn) error {
		a, err = addressConfiguration(conn, account, ref)
		return err
	})
	return a, err
}

func addressConfiguration(conn *sqlite.Conn, account, ref string) (AddressConfiguration, error) {
	missing := &NotFoundError{Kind: addressConfigurationTable.name, Name: ref}
	a, err := one(conn, addressConfigurationTable.columns, missing, "FROM address_configuration WHERE sid = ?", ref)
	if err == nil && (account == "" || a.AccountSid == account) {
		return a, nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) || account == "" {
		return AddressConfiguration{}, err
	}
	return one(conn, addressConfigurationTable.columns, missing,
		"FROM address_configuration WHERE account_sid = ? AND address = ?", account, ref)
}

// AddressConfigurationFilter selects address configurations. Account is
// required; Type selects when it is set.
type AddressConfigurationFilter struct {
	Account string
	Type    string
}

// AddressConfigurations lists in the order they were created.
func (q *Queries) AddressConfigurations(ctx context.Context, filter AddressConfigurationFilter, page Page) (List[AddressConfiguration], error) {
	return pageOf(ctx, q, addressConfigurationsOf(filter), page)
}

func addressConfigurationsOf(filter AddressConfigurationFilter) listing[AddressConfiguration] {
	l := listing[AddressConfiguration]{
		columns: addressConfigurationTable.columns,
		from:    "FROM address_configuration WHERE account_sid = ?", args: []any{filter.Account},
		order: []string{"id"}, key: func(a AddressConfiguration) Key { return byID(a.id) }, bind: bindID,
	}
	if filter.Type != "" {
		l.where("type = ?", filter.Type)
	}
	return l
}
