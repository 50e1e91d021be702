package broker

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// DamagedError says that a file of the broker's store cannot be used, and what to do. The
// server itself would go on without it: with an empty stream, or with a consumer that
// begins again.
type DamagedError struct {
	Path   string
	Reason string
	WayOut string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s is damaged: %s; %s", e.Path, e.Reason, e.WayOut)
}

// checkStore looks at the files that say what a stream and a consumer are, and how far a
// consumer has come, before the server reads them. What a first start left that was cut
// short, a stream without messages or a consumer that has handled none, is none of its
// business.
func checkStore(dir string) error {
	streams, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*"))
	if err != nil {
		return err
	}
	for _, stream := range streams {
		used, err := hasMessages(stream)
		if err != nil {
			return err
		}
		if used {
			if err := checkMeta(stream, "bring the whole bus folder back, or move "+stream+" away: what was on the stream is gone then"); err != nil {
				return err
			}
		}
		consumers, err := filepath.Glob(filepath.Join(stream, "obs", "*"))
		if err != nil {
			return err
		}
		for _, consumer := range consumers {
			if err := checkConsumer(consumer); err != nil {
				return err
			}
		}
	}
	return nil
}

func hasMessages(stream string) (bool, error) {
	blocks, err := filepath.Glob(filepath.Join(stream, "msgs", "*.blk"))
	if err != nil {
		return false, err
	}
	for _, block := range blocks {
		if info, err := os.Stat(block); err == nil && info.Size() > 0 {
			return true, nil
		}
	}
	return false, nil
}

// checkMeta wants the description of a stream or consumer and its checksum.
func checkMeta(dir, wayOut string) error {
	path := filepath.Join(dir, "meta.inf")
	data, err := os.ReadFile(path)
	if err != nil {
		return &DamagedError{path, err.Error(), wayOut}
	}
	var meta struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(data, &meta); err != nil || meta.Name == "" {
		return &DamagedError{path, "it describes nothing", wayOut}
	}
	sum := filepath.Join(dir, "meta.sum")
	if text, err := os.ReadFile(sum); err != nil || len(text) != 16 {
		return &DamagedError{sum, "it is no checksum", wayOut}
	}
	return nil
}

func checkConsumer(dir string) error {
	path := filepath.Join(dir, "o.dat")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(data) == 0 {
		return nil
	}
	wayOut := "bring the whole bus folder back, or remove " + dir + ": all that is left on the stream is handled again then, and commands that were done are recognised by their ids, as far back as each aggregate remembers"
	if err != nil {
		return &DamagedError{path, err.Error(), wayOut}
	}
	if err := checkState(data); err != nil {
		return &DamagedError{path, err.Error(), wayOut}
	}
	return checkMeta(dir, wayOut)
}

// checkState reads a consumer's state as the server writes it (filestore.go, version 2):
// magic, version, then numbers: acknowledged and delivered up to, what is pending, what was
// delivered again.
func checkState(data []byte) error {
	const magic = 22
	if len(data) < 2 || data[0] != magic || data[1] != 1 && data[1] != 2 {
		return errors.New("it is not a consumer's state")
	}
	n := numbers{data[2:], true}
	floor, floorStream, delivered, deliveredStream := n.next(), n.next(), n.next(), n.next()
	if n.ok && data[1] == 2 && (floor > delivered || floorStream > deliveredStream) {
		return errors.New("more was acknowledged than was delivered")
	}
	if pending := n.next(); n.ok && pending > 0 {
		n.signed()
		for range min(pending, uint64(len(data))) {
			n.next()
			if data[1] == 2 {
				n.next()
			}
			n.signed()
		}
	}
	for range min(n.next(), uint64(len(data))) {
		n.next()
		n.next()
	}
	if !n.ok || len(n.rest) > 0 {
		return errors.New("it is cut short, or goes on behind its end")
	}
	return nil
}

// numbers reads one after another; ok turns false when there are no more.
type numbers struct {
	rest []byte
	ok   bool
}

func (n *numbers) next() (value uint64) {
	value, size := binary.Uvarint(n.rest)
	return value * n.skip(size)
}

func (n *numbers) signed() {
	_, size := binary.Varint(n.rest)
	n.skip(size)
}

// skip returns 0 when there was no number.
func (n *numbers) skip(size int) uint64 {
	if size <= 0 {
		n.ok, n.rest = false, nil
		return 0
	}
	n.rest = n.rest[size:]
	return 1
}
