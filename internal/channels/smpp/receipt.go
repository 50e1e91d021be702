package smpp

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/channels/carrier"
)

// The text of a receipt is the SMSC's own matter; this is how most write it
// (SMPP 3.4, appendix B).
var (
	receiptID    = regexp.MustCompile(`(?i)\bid:\s*(\S+)`)
	receiptState = regexp.MustCompile(`(?i)\bstat:\s*([A-Za-z]+)`)
	receiptError = regexp.MustCompile(`(?i)\berr:\s*([0-9A-Za-z]+)`)
)

// states are the words of receipts, of which some write more than seven letters.
var states = map[string]byte{
	"ENROUTE": data.SM_STATE_EN_ROUTE, "DELIVRD": data.SM_STATE_DELIVERED, "EXPIRED": data.SM_STATE_EXPIRED,
	"DELETED": data.SM_STATE_DELETED, "UNDELIV": data.SM_STATE_UNDELIVERABLE, "ACCEPTD": data.SM_STATE_ACCEPTED,
	"UNKNOWN": data.SM_STATE_INVALID, "REJECTD": data.SM_STATE_REJECTED,
	"DELIVERED": data.SM_STATE_DELIVERED, "UNDELIVERABLE": data.SM_STATE_UNDELIVERABLE,
	"ACCEPTED": data.SM_STATE_ACCEPTED, "REJECTED": data.SM_STATE_REJECTED,
}

// statuses are what states are called here. Accepted is what an SMSC says that
// passed a message on.
var statuses = map[byte]string{
	data.SM_STATE_EN_ROUTE: events.DeliverySent, data.SM_STATE_ACCEPTED: events.DeliverySent,
	data.SM_STATE_DELIVERED: events.DeliveryDelivered, data.SM_STATE_EXPIRED: events.DeliveryUndelivered,
	data.SM_STATE_UNDELIVERABLE: events.DeliveryUndelivered, data.SM_STATE_INVALID: events.DeliveryUndelivered,
	data.SM_STATE_DELETED: events.DeliveryFailed, data.SM_STATE_REJECTED: events.DeliveryFailed,
}

const kindOfMessage = 0x3C // the bits of esm_class that tell receipts

// receipt reports whether a deliver_sm is a delivery receipt, final or not; some
// SMSCs forget to say so.
func receipt(d *delivery) bool {
	kind := d.EsmClass & kindOfMessage
	_, named := d.OptionalParameters[pdu.TagReceiptedMessageID]
	return kind == data.SM_SMSC_DLV_RCPT_TYPE || kind == data.SM_INTMD_DLV_NOTIFY_TYPE || named
}

// readReceipt prefers the optional parameters to the text. It has no time: that
// of receipts is of a zone nobody knows.
func (c *Config) readReceipt(d *delivery) (carrier.Status, error) {
	text, err := d.text()
	if err != nil {
		return carrier.Status{}, err
	}
	id := c.receipted(find(receiptID, text))
	if field, ok := d.OptionalParameters[pdu.TagReceiptedMessageID]; ok && field.String() != "" {
		id = c.normal(field.String())
	}
	word := strings.ToUpper(find(receiptState, text))
	state := states[word]
	if field, ok := d.OptionalParameters[pdu.TagMessageStateOption]; ok && len(field.Data) == 1 {
		state, word = field.Data[0], strconv.Itoa(int(field.Data[0]))
	}
	s := carrier.Status{ID: id, Status: statuses[state]}
	switch {
	case id == "":
		return s, errors.New("a receipt without an id")
	case s.Status == "":
		return s, fmt.Errorf("a receipt of the state %.20q", word)
	}
	s.ErrorCode = c.errorCode(state, s.Status, find(receiptError, text))
	return s, nil
}

func (c *Config) errorCode(state byte, status, smscs string) int {
	switch {
	case status != events.DeliveryUndelivered && status != events.DeliveryFailed:
		return 0
	case c.ErrorCodes[smscs] != 0:
		return c.ErrorCodes[smscs]
	case state == data.SM_STATE_EXPIRED:
		return codeUnreached
	}
	return codeUnknown
}

func find(e *regexp.Regexp, text string) string {
	if m := e.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// normal is how an id of a submit_sm_resp is kept: as it is, or without the zeros
// and capitals that another base would lose.
func (c *Config) normal(id string) string {
	switch c.ReceiptID {
	case hexToDecimal:
		return rebase(id, 10, 10)
	case decimalToHex:
		return rebase(id, 16, 16)
	}
	return id
}

// receipted is the same id, as the text of a receipt spells it.
func (c *Config) receipted(id string) string {
	switch c.ReceiptID {
	case hexToDecimal:
		return rebase(id, 16, 10)
	case decimalToHex:
		return rebase(id, 10, 16)
	}
	return id
}

// rebase leaves alone what is no number.
func rebase(id string, from, to int) string {
	n, err := strconv.ParseUint(id, from, 64)
	if err != nil {
		return id
	}
	return strconv.FormatUint(n, to)
}
