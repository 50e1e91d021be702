package gateway

// Config says how an HTTP gateway is spoken to. Templates are those of Go's
// text/template over the fields of carrier.Outgoing (Key, Type, MessagingService,
// From, To, Body, Media, StatusURL) and Secret, with the functions json, query,
// form, path, base64, join and first. Addresses are spelled as the gateway spells
// them.
//
// Paths are dotted: "messages.0.id", or "messages[0].id"; "*" stands for all
// elements; a path that begins with "$." starts at the whole instead of at one
// report. In forms and queries a path is the name of a field.
type Config struct {
	// Secrets are files by the name that the rest of the configuration uses.
	Secrets map[string]string `json:"secrets,omitempty"`
	// Prefix is what Parley's addresses have and the gateway's lack: "+" or
	// "whatsapp:+". It is taken off what is sent and put before inbound numbers of more
	// than six digits; shorter ones and names stay as they are. Empty: both spell alike.
	Prefix string `json:"prefix,omitempty"`
	// Send says how a message is sent. Required.
	Send Send `json:"send"`
	// Answer says what the answer to that means. Required.
	Answer Answer `json:"answer"`
	// Inbound and Status say how the gateway's requests are read; nil: it sends none.
	Inbound *Inbound `json:"inbound,omitempty"`
	Status  *Status  `json:"status,omitempty"`
	// OneURL says that messages and statuses come to one address, whichever: both
	// rules are used on every request, and need not find anything. Both need each.
	OneURL bool `json:"one_url,omitempty"`
	// Signature says how requests prove whom they are from. Required with Inbound or Status.
	Signature Signature `json:"signature,omitzero"`
}

// Send is the request that sends a message.
type Send struct {
	// Method is GET, POST, PUT or PATCH; empty: POST.
	Method string `json:"method,omitempty"`
	// URL is a template of an http or https address; its host does not depend on the message. Required.
	URL string `json:"url"`
	// Headers are templates by name.
	Headers map[string]string `json:"headers,omitempty"`
	// Body is a template; empty: none. With a Content-Type of JSON it must give JSON
	// whatever the message is: {"text": {{json .Body}}}.
	Body string `json:"body,omitempty"`
	// Idempotent says that the gateway takes a message with the same Key once, however
	// often it is sent. A template must have .Key then.
	Idempotent bool `json:"idempotent,omitempty"`
	// Groups says that the gateway takes native group messages: .To has several.
	Groups bool `json:"groups,omitempty"`
	// TimeoutSeconds bounds one request and its answer; 0: 15.
	TimeoutSeconds float64 `json:"timeout_seconds,omitempty"`
}

// Answer reads what the gateway answers, of which 64 KiB count.
type Answer struct {
	// Accepted, Refused, Later and Unknown are HTTP statuses such as 201 or 5xx; the
	// longer match wins. What a list does not have is: 2xx accepted, 429 and 5xx later,
	// other 4xx refused, and 502, 504 and the rest unknown: the message may have been sent.
	Accepted []string `json:"accepted,omitempty"`
	Refused  []string `json:"refused,omitempty"`
	Later    []string `json:"later,omitempty"`
	Unknown  []string `json:"unknown,omitempty"`
	// LaterSeconds is the pause when the gateway does not say Retry-After; 0: 5.
	LaterSeconds float64 `json:"later_seconds,omitempty"`

	// Exactly one of these three says how statuses will name the message: a path in a
	// JSON answer, a regular expression over the text with one group, or Outgoing.Key.
	ID        string `json:"id,omitempty"`
	IDPattern string `json:"id_pattern,omitempty"`
	IDFromKey bool   `json:"id_from_key,omitempty"`

	// Code and CodePattern find the gateway's own code, likewise; at most one.
	Code        string `json:"code,omitempty"`
	CodePattern string `json:"code_pattern,omitempty"`
	// AcceptedCodes, where there are any, are required of an accepted answer; any
	// other code refuses it.
	AcceptedCodes []string `json:"accepted_codes,omitempty"`
	// LaterCodes turn an accepted or refused answer into later.
	LaterCodes []string `json:"later_codes,omitempty"`
	// ErrorCodes are Twilio's codes by the gateway's; others are 0.
	ErrorCodes map[string]int `json:"error_codes,omitempty"`
	// Status is what an accepted message is: queued or sent; empty: queued.
	Status string `json:"status,omitempty"`
}

// Callback is what Inbound and Status have in common.
type Callback struct {
	// Source is where the fields are: json, form or query. Required.
	Source string `json:"source"`
	// Each is the path of an array, or with "*" of several, of which every element is
	// a report; "." is the whole. Empty: the whole is one. With json only.
	Each string `json:"each,omitempty"`
	// Time is the path of when it happened; empty: the gateway does not say.
	Time string `json:"time,omitempty"`
	// TimeLayout is a layout of Go, unix or unix-ms; empty: RFC 3339.
	TimeLayout string `json:"time_layout,omitempty"`
	// Reply is what the gateway is told when everything was taken.
	Reply Reply `json:"reply,omitzero"`
}

// Reply is an answer to the gateway. Zero is 204 without a body.
type Reply struct {
	Status      int    `json:"status,omitempty"` // 200 to 299
	ContentType string `json:"content_type,omitempty"`
	Body        string `json:"body,omitempty"`
}

// Inbound reads messages. Paths are of strings but where said otherwise.
type Inbound struct {
	Callback
	// ID is the path of the gateway's id. IDFromContent makes one from the content of
	// the request where there is none, so a gateway that repeats itself word for word
	// is heard once, and so is a person who does. One of the two is required.
	ID            string `json:"id,omitempty"`
	IDFromContent bool   `json:"id_from_content,omitempty"`
	// From and To are paths of addresses; To may be of a list. Required.
	From string `json:"from"`
	To   string `json:"to"`
	// Body is the path of the text; empty or not there: none.
	Body string `json:"body,omitempty"`
	// Media is the path of an address or a list of them, such as files.*.url; of forms
	// the name of numbered fields with "#" for the number, from 0 or 1: MediaUrl#.
	Media string `json:"media,omitempty"`
	// MediaType is the path of their content types, in the same order.
	MediaType string `json:"media_type,omitempty"`
	// Type is sms, whatsapp, …; empty: by the addresses.
	Type string `json:"type,omitempty"`
}

// Status reads what became of messages.
type Status struct {
	Callback
	// ID is the path of what Answer found. Required.
	ID string `json:"id"`
	// To is the path of the recipient; empty: the only one.
	To string `json:"to,omitempty"`
	// Status is the path of the gateway's word. Required.
	Status string `json:"status"`
	// Words are queued, sent, delivered, read, failed or undelivered by the gateway's
	// words, or ignore. Other words are an error. Required.
	Words map[string]string `json:"words"`
	// Code is the path of the gateway's error code; empty: none.
	Code string `json:"code,omitempty"`
	// ErrorCodes are Twilio's codes by the gateway's; others are 0.
	ErrorCodes map[string]int `json:"error_codes,omitempty"`
}

// Signature says what is required of a request. Exactly one of the first three.
type Signature struct {
	HMAC     *HMAC  `json:"hmac,omitempty"`
	Token    *Token `json:"token,omitempty"`
	Unsigned bool   `json:"unsigned,omitempty"` // anybody is believed
	// Timestamp guards against replays; with HMAC only, which must sign it.
	Timestamp *Timestamp `json:"timestamp,omitempty"`
}

// HMAC is a signature over the body.
type HMAC struct {
	Secret    string `json:"secret"`              // the name of the key
	Algorithm string `json:"algorithm,omitempty"` // sha1 or sha256; empty: sha256
	Encoding  string `json:"encoding,omitempty"`  // hex or base64; empty: hex
	Header    string `json:"header"`              // that has the signature
	Prefix    string `json:"prefix,omitempty"`    // before it, such as sha256=
	// Signed is what is signed, with {body} and {timestamp}; empty: {body}.
	Signed string `json:"signed,omitempty"`
}

// Token is a secret that the gateway repeats.
type Token struct {
	Secret string `json:"secret"`           // its name
	Header string `json:"header,omitempty"` // that has it, or …
	Query  string `json:"query,omitempty"`  // the parameter of the address that has it
	Prefix string `json:"prefix,omitempty"` // before it, such as "Bearer "
}

// Timestamp is when a request was signed, in seconds since 1970.
type Timestamp struct {
	Header string `json:"header"`
	// ToleranceSeconds is how far it may be from now; 0: 300.
	ToleranceSeconds float64 `json:"tolerance_seconds,omitempty"`
}
