package projections

import (
	"context"

	"zombiezen.com/go/sqlite"
)

func bySid[R any](ctx context.Context, q *Queries, spec *tableSpec[string, R], sid string) (r R, err error) {
	err = q.view(ctx, func(conn *sqlite.Conn) error {
		r, err = one(conn, spec.columns, &NotFoundError{Kind: spec.name, Name: sid}, "FROM "+spec.name+" WHERE sid = ?", sid)
		return err
	})
	return r, err
}

// Account returns an account.
func (q *Queries) Account(ctx context.Context, sid string) (Account, error) {
	return bySid(ctx, q, accountTable, sid)
}

// Accounts lists all accounts in the order they were created.
func (q *Queries) Accounts(ctx context.Context, page Page) (List[Account], error) {
	return pageOf(ctx, q, listing[Account]{
		columns: accountTable.columns, from: "FROM account WHERE true",
		order: []string{"id"}, key: func(a Account) Key { return byID(a.id) }, bind: bindID,
	}, page)
}

// MessagingService returns a Messaging Service.
func (q *Queries) MessagingService(ctx context.Context, sid string) (MessagingService, error) {
	return bySid(ctx, q, messagingServiceTable, sid)
}

// MessagingServices lists an account's in the order they were added.
func (q *Queries) MessagingServices(ctx context.Context, account string, page Page) (List[MessagingService], error) {
	return pageOf(ctx, q, listing[MessagingService]{
		columns: messagingServiceTable.columns, from: "FROM messaging_service WHERE account_sid = ?", args: []any{account},
		order: []string{"id"}, key: func(m MessagingService) Key { return byID(m.id) }, bind: bindID,
	}, page)
}

// Service returns a conversation service with its configuration. One that was
// removed is not found.
func (q *Queries) Service(ctx context.Context, sid string) (Service, error) {
	s, err := bySid(ctx, q, serviceTable, sid)
	if err == nil && !s.DateRemoved.IsZero() {
		return Service{}, &NotFoundError{Kind: serviceTable.name, Name: sid}
	}
	return s, err
}

// Services lists an account's in the order they were created, without those
// that were removed.
func (q *Queries) Services(ctx context.Context, account string, page Page) (List[Service], error) {
	return pageOf(ctx, q, servicesOf(account), page)
}

// RemovedServices lists those of all accounts that were removed, in the order
// they were created. What they hold is there until it is removed itself.
func (q *Queries) RemovedServices(ctx context.Context, page Page) (List[Service], error) {
	return pageOf(ctx, q, removedServices(), page)
}

func servicesOf(account string) listing[Service] {
	return servicesWhere("account_sid = ? AND date_removed IS NULL", account)
}

func removedServices() listing[Service] { return servicesWhere("date_removed IS NOT NULL") }

func servicesWhere(condition string, args ...any) listing[Service] {
	return listing[Service]{
		columns: serviceTable.columns, from: "FROM service WHERE " + condition, args: args,
		order: []string{"id"}, key: func(s Service) Key { return byID(s.id) }, bind: bindID,
	}
}

// Role returns a role.
func (q *Queries) Role(ctx context.Context, sid string) (Role, error) {
	return bySid(ctx, q, roleTable, sid)
}

// Roles lists a service's in the order they were created.
func (q *Queries) Roles(ctx context.Context, service string, page Page) (List[Role], error) {
	return pageOf(ctx, q, rolesOf(service), page)
}

func rolesOf(service string) listing[Role] {
	return listing[Role]{
		columns: roleTable.columns, from: "FROM role WHERE chat_service_sid = ?", args: []any{service},
		order: []string{"id"}, key: func(r Role) Key { return byID(r.id) }, bind: bindID,
	}
}

// RoleInUse reports whether any user or participant of the service has the
// role. No index helps: it may look at every participant there is, which is for
// the removal of a role, not for what happens often.
func (q *Queries) RoleInUse(ctx context.Context, service, role string) (used bool, err error) {
	err = q.view(ctx, func(conn *sqlite.Conn) error {
		used, err = anyRow(conn, "FROM user WHERE chat_service_sid = ? AND role_sid = ?", service, role)
		if used || err != nil {
			return err
		}
		used, err = anyRow(conn, "FROM participant WHERE chat_service_sid = ? AND role_sid = ?", service, role)
		return err
	})
	return used, err
}
