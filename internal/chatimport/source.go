package chatimport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"
)

// MaxPage bounds one page of a list, in bytes.
const MaxPage = 64 << 20

// List is one of Chat's lists.
type List struct {
	Path     string // below the version: Services/IS…/Channels
	Key      string // of the array in each page: channels
	Optional bool   // a folder may do without it
}

// Source is where the data comes from.
type Source interface {
	// Items yields what is in a list, in the list's order, page by page. The first
	// error ends it.
	Items(ctx context.Context, list List) iter.Seq2[Item, error]
	// String names the source, for people.
	String() string
}

// Item is one entry of a list.
type Item struct {
	JSON   []byte
	page   *page
	offset int64 // of JSON in the page
}

// At says where the item is, for people: file and line, or address and byte.
func (i Item) At() string { return i.page.at(i.offset) }

// decode reads the item; what is wrong with it is said with its place.
func (i Item) decode(into any) error {
	err := json.Unmarshal(i.JSON, into)
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrongType):
		return fmt.Errorf("%s: %s is a %s", i.page.at(i.offset+wrongType.Offset), wrongType.Field, wrongType.Value)
	}
	return fmt.Errorf("%s: %w", i.At(), err)
}

// page is one page of a list as it was received.
type page struct {
	name string // of the file, or its address
	data []byte
	next string // address of the next page, empty on the last
}

// at names a byte of the page.
func (p *page) at(offset int64) string {
	offset = min(offset, int64(len(p.data)))
	return fmt.Sprintf("%s:%d (byte %d)", p.name, 1+bytes.Count(p.data[:offset], []byte("\n")), offset)
}

func (p *page) damaged(offset int64, format string, args ...any) error {
	return fmt.Errorf("%s: %w", p.at(offset), fmt.Errorf(format, args...))
}

// items takes the page apart. Text that is not UTF-8 is refused: it would not be the
// same afterwards.
func (p *page) items(key string) ([]Item, error) {
	if offset := invalidUTF8(p.data); offset >= 0 {
		return nil, p.damaged(offset, "this is not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(p.data))
	items, found, err := p.read(decoder, key)
	if err == nil {
		_, err = decoder.Token()
		if errors.Is(err, io.EOF) {
			err = nil
		} else if err == nil {
			return nil, p.damaged(decoder.InputOffset(), "there is something after the page")
		}
	}
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, p.damaged(syntax.Offset, "damaged JSON: %w", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, p.damaged(int64(len(p.data)), "damaged JSON: the end is missing")
	case err != nil:
		return nil, p.damaged(decoder.InputOffset(), "damaged JSON: %w", err)
	case !found:
		return nil, p.damaged(0, "this is not a page of a list: it has no %q", key)
	}
	return items, nil
}

func (p *page) read(decoder *json.Decoder, key string) (items []Item, found bool, err error) {
	if err := expect(decoder, '{'); err != nil {
		return nil, false, err
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, false, err
		}
		switch name {
		case key:
			found = true
			items, err = p.array(decoder)
		case "meta":
			var meta struct {
				Next string `json:"next_page_url"`
			}
			err = decoder.Decode(&meta)
			p.next = meta.Next
		default:
			err = decoder.Decode(new(json.RawMessage))
		}
		if err != nil {
			return nil, false, err
		}
	}
	return items, found, expect(decoder, '}')
}

func (p *page) array(decoder *json.Decoder) (items []Item, err error) {
	if err := expect(decoder, '['); err != nil {
		return nil, err
	}
	for decoder.More() {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return nil, err
		}
		items = append(items, Item{JSON: raw, page: p, offset: decoder.InputOffset() - int64(len(raw))})
	}
	return items, expect(decoder, ']')
}

func expect(decoder *json.Decoder, delimiter json.Delim) error {
	token, err := decoder.Token()
	if err == nil && token != delimiter {
		err = fmt.Errorf("%v in place of %v", token, delimiter)
	}
	return err
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8, -1 if all is.
func invalidUTF8(data []byte) int64 {
	if utf8.Valid(data) {
		return -1
	}
	for offset := 0; ; {
		r, size := utf8.DecodeRune(data[offset:])
		if r == utf8.RuneError && size <= 1 {
			return int64(offset)
		}
		offset += size
	}
}
