//go:build linux

package sqlitestore_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// yardstick is the least a durable log can do: records with a length and a
// checksum in segments that are allocated beforehand, one fdatasync for all
// appends that are waiting, and the last revision of every stream in a map. It
// cannot read a stream, recognise a repeated append or be opened again.
type yardstick struct {
	dir      string
	requests chan *bareRequest
	stopped  sync.WaitGroup

	segment *os.File
	offset  int64
	number  int
	heads   map[string]store.Revision
	buffer  []byte
}

type bareRequest struct {
	stream   string
	expected store.Revision
	batch    []events.Proposed
	done     chan error
}

const segmentBytes = 64 << 20

func newYardstick(dir string) (*yardstick, error) {
	y := &yardstick{dir: dir, requests: make(chan *bareRequest, 1024), heads: map[string]store.Revision{}}
	if err := y.roll(); err != nil {
		return nil, err
	}
	y.stopped.Go(y.run)
	return y, nil
}

// roll begins a segment of zeros, so that a commit changes no file length.
func (y *yardstick) roll() (err error) {
	if y.segment != nil {
		if err := y.segment.Close(); err != nil {
			return err
		}
	}
	y.number++
	if y.segment, err = os.Create(filepath.Join(y.dir, fmt.Sprint("segment-", y.number))); err != nil {
		return err
	}
	zeros := make([]byte, 1<<20)
	for range segmentBytes / len(zeros) {
		if _, err := y.segment.Write(zeros); err != nil {
			return err
		}
	}
	y.offset = 0
	return y.segment.Sync()
}

func (y *yardstick) append(stream string, expected store.Revision, batch []events.Proposed) error {
	r := &bareRequest{stream, expected, batch, make(chan error, 1)}
	y.requests <- r
	return <-r.done
}

func (y *yardstick) close() error {
	close(y.requests)
	y.stopped.Wait()
	return y.segment.Close()
}

func (y *yardstick) run() {
	for r := range y.requests {
		group := y.collect(r)
		err := y.write(group)
		for _, r := range group {
			r.done <- err
		}
	}
}

// collect takes what waits, with the same courtesy to callers as the store's.
func (y *yardstick) collect(first *bareRequest) []*bareRequest {
	group := []*bareRequest{first}
	for yielded := false; len(group) < 1024; {
		select {
		case next := <-y.requests:
			group, yielded = append(group, next), false
			continue
		default:
		}
		if yielded {
			break
		}
		runtime.Gosched()
		yielded = true
	}
	return group
}

func (y *yardstick) write(group []*bareRequest) error {
	y.buffer = y.buffer[:0]
	for _, r := range group {
		head, known := y.heads[r.stream]
		if !known {
			head = store.NoStream
		}
		if head != r.expected {
			return errors.New("conflict")
		}
		for _, e := range r.batch {
			head++
			y.record(r.stream, head, e)
		}
		y.heads[r.stream] = head
	}
	if y.offset+int64(len(y.buffer)) > segmentBytes {
		if err := y.roll(); err != nil {
			return err
		}
	}
	if _, err := y.segment.WriteAt(y.buffer, y.offset); err != nil {
		return err
	}
	y.offset += int64(len(y.buffer))
	return syscall.Fdatasync(int(y.segment.Fd()))
}

func (y *yardstick) record(stream string, revision store.Revision, e events.Proposed) {
	start := len(y.buffer)
	y.buffer = append(y.buffer, make([]byte, 8)...)
	y.buffer = append(y.buffer, e.ID[:]...)
	y.buffer = binary.AppendUvarint(y.buffer, uint64(revision))
	for _, text := range []string{stream, e.Type} {
		y.buffer = append(binary.AppendUvarint(y.buffer, uint64(len(text))), text...)
	}
	y.buffer = events.AppendMetadata(y.buffer, e.Metadata)
	y.buffer = append(y.buffer, e.Data...)
	body := y.buffer[start+8:]
	binary.LittleEndian.PutUint32(y.buffer[start:], uint32(len(body)))
	binary.LittleEndian.PutUint32(y.buffer[start+4:], crc32.Checksum(body, castagnoli))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
