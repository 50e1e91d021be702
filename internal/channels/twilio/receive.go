package twilio

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/channels/carrier"
)

// statuses are Twilio's words and what they are called here.
var statuses = map[string]string{
	"accepted": events.DeliveryQueued, "scheduled": events.DeliveryQueued,
	"queued": events.DeliveryQueued, "sending": events.DeliveryQueued,
	"sent": events.DeliverySent, "delivered": events.DeliveryDelivered, "read": events.DeliveryRead,
	"undelivered": events.DeliveryUndelivered, "failed": events.DeliveryFailed, "canceled": events.DeliveryFailed,
}

// mostMedia is how many files an inbound message may have; Twilio's limit is 10.
const mostMedia = 50

// Receive reads a webhook: a form in the body, or the query of a GET.
func (t *Carrier) Receive(r carrier.Request) ([]carrier.Report, carrier.Answer, error) {
	form, err := t.form(r)
	if err != nil {
		return nil, carrier.Answer{}, err
	}
	if r.Kind == carrier.KindStatus {
		status, err := readStatus(form)
		if err != nil {
			return nil, carrier.Answer{}, err
		}
		return []carrier.Report{{Status: status}}, carrier.Answer{}, nil
	}
	inbound, err := readInbound(form)
	if err != nil {
		return nil, carrier.Answer{}, err
	}
	return []carrier.Report{{Inbound: inbound}}, reply, nil
}

// reply is TwiML that says nothing more.
var reply = carrier.Answer{Status: http.StatusOK, ContentType: "text/xml", Body: []byte("<Response></Response>")}

// form returns the parameters that the signature covers.
func (t *Carrier) form(r carrier.Request) (url.Values, error) {
	signature := r.Header.Get("X-Twilio-Signature")
	if r.Method == http.MethodGet {
		address, err := url.Parse(r.URL)
		if err != nil || !t.validator.Validate(r.URL, nil, signature) {
			return nil, carrier.ErrForbidden
		}
		return parse(address.RawQuery)
	}
	if !t.validator.ValidateBody(r.URL, r.Body, signature) {
		return nil, carrier.ErrForbidden
	}
	return parse(string(r.Body))
}

func parse(text string) (url.Values, error) {
	form, err := url.ParseQuery(text)
	if err != nil {
		return nil, &carrier.Malformed{Reason: fmt.Sprintf("its parameters could not be read: %.80v", err)}
	}
	return form, nil
}

func readInbound(form url.Values) (*carrier.Inbound, error) {
	in := &carrier.Inbound{ID: form.Get("MessageSid"), From: form.Get("From"), To: []string{form.Get("To")}, Body: form.Get("Body")}
	for _, name := range []string{"MessageSid", "From", "To"} {
		if form.Get(name) == "" {
			return nil, &carrier.Malformed{Reason: name + " is missing"}
		}
	}
	files := 0
	if text := form.Get("NumMedia"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > mostMedia {
			return nil, &carrier.Malformed{Reason: fmt.Sprintf("NumMedia is %.20q", text)}
		}
		files = n
	}
	for i := range files {
		n := strconv.Itoa(i)
		file := carrier.Media{URL: form.Get("MediaUrl" + n), ContentType: form.Get("MediaContentType" + n)}
		if file.URL == "" {
			return nil, &carrier.Malformed{Reason: "MediaUrl" + n + " is missing"}
		}
		in.Media = append(in.Media, file)
	}
	return in, nil
}

func readStatus(form url.Values) (*carrier.Status, error) {
	word := form.Get("MessageStatus")
	if word == "" {
		word = form.Get("SmsStatus")
	}
	s := &carrier.Status{ID: form.Get("MessageSid"), To: form.Get("To"), Status: statuses[word]}
	switch {
	case s.ID == "":
		return nil, &carrier.Malformed{Reason: "MessageSid is missing"}
	case s.Status == "":
		return nil, &carrier.Malformed{Reason: fmt.Sprintf("MessageStatus is %.40q", word)}
	}
	if text := form.Get("ErrorCode"); text != "" {
		code, err := strconv.Atoi(text)
		if err != nil || code < 0 {
			return nil, &carrier.Malformed{Reason: fmt.Sprintf("ErrorCode is %.20q", text)}
		}
		s.ErrorCode = code
	}
	return s, nil
}
