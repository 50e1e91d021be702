package rest

import (
	"net/http"
	"strings"
)

// Operation describes one operation in one form of its path, for those who write
// contracts.
type Operation struct {
	Method  string
	Path    string // with /v1 and {names}
	Name    string // unique
	Form    bool   // parameters are a form in the body, otherwise in the query
	Bytes   bool   // the body is bytes, not a form
	Params  []Parameter
	Answer  any    // zero value of the answer, or of one of its list's items; nil: no JSON
	List    string // key of the list
	MaxPage int    // items
	Status  int    // of success
	Users   bool   // access tokens are accepted
	Hooks   bool   // takes X-Twilio-Webhook-Enabled
	Writes  bool   // takes Idempotency-Key and If-Match
	Own     bool   // an addition of Parley's
}

// Parameter describes one parameter of an operation.
type Parameter struct {
	Name     string
	Type     string // string, boolean, integer
	Format   string
	Pattern  string
	Values   []string
	Repeats  bool
	Required bool
	Max      int // characters; 0: not said
	About    string
}

// Describe lists every operation in both of its forms.
func Describe() []Operation {
	var all []Operation
	for _, r := range table() {
		for _, p := range r.patterns() {
			all = append(all, r.describe(p))
		}
	}
	return all
}

func (r route) describe(p pattern) Operation {
	o := Operation{
		Method: r.method, Path: "/v1" + p.path, Name: r.operationID(p), Form: r.method == http.MethodPost && !r.raw, Bytes: r.raw,
		Answer: r.answer, List: r.list, MaxPage: r.page, Status: r.status, Users: r.users, Hooks: r.hooks,
		Writes: r.method != http.MethodGet, Own: r.own,
	}
	for _, q := range r.params {
		o.Params = append(o.Params, q.describe())
	}
	return o
}

// operationID is Twilio's: the service form has Service behind the verb.
func (r route) operationID(p pattern) string {
	if !p.service || r.forms == serviceForm {
		return r.name
	}
	for _, verb := range []string{"List", "Create", "Fetch", "Update", "Delete"} {
		if rest, ok := strings.CutPrefix(r.name, verb); ok {
			return verb + "Service" + rest
		}
	}
	return "Service" + r.name
}

func (p param) describe() Parameter {
	d := Parameter{Name: p.name, Type: "string", Values: p.values, Repeats: p.repeats(), Required: p.required, Max: p.max, About: p.about}
	switch p.kind {
	case flag:
		d.Type = "boolean"
	case integer:
		d.Type = "integer"
	case date:
		d.Format = "date-time"
	case sid:
		d.Pattern = "^(" + p.prefix + "[0-9a-fA-F]{32})?$"
	}
	return d
}
