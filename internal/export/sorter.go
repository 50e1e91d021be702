package export

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// partition is a service and a day.
type partition struct{ service, day string }

// maxOpen bounds the files that are open at a time.
const maxOpen = 64

// sorter puts rows into a file for each partition, in the order in which they come. Few
// of the files are open.
type sorter struct {
	dir    string
	format Format
	files  map[partition]int // number of the file
	rows   map[partition]int
	open   map[partition]*part
	turn   int // rows so far
}

type part struct {
	rowWriter
	file *os.File
	used int // turn of its last row
}

func newSorter(dir string, format Format) *sorter {
	return &sorter{dir: dir, format: format, files: map[partition]int{}, rows: map[partition]int{}, open: map[partition]*part{}}
}

func (s *sorter) path(p partition) string { return filepath.Join(s.dir, fmt.Sprint(s.files[p])) }

func (s *sorter) partitions() []partition { return slices.Collect(maps.Keys(s.files)) }

func (s *sorter) put(p partition, r *Row) error {
	to, err := s.part(p)
	if err != nil {
		return err
	}
	s.turn++
	to.used = s.turn
	s.rows[p]++
	return to.write(r)
}

func (s *sorter) part(p partition) (*part, error) {
	if there := s.open[p]; there != nil {
		return there, nil
	}
	if len(s.open) == maxOpen {
		if err := s.closeOldest(); err != nil {
			return nil, err
		}
	}
	_, known := s.files[p]
	if !known {
		s.files[p] = len(s.files)
	}
	file, err := os.OpenFile(s.path(p), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	rows, err := s.format.gatherer(file, !known)
	s.open[p] = &part{rowWriter: rows, file: file}
	return s.open[p], err
}

func (s *sorter) closeOldest() error {
	var oldest partition
	for p, one := range s.open {
		if there := s.open[oldest]; there == nil || one.used < there.used {
			oldest = p
		}
	}
	return s.closeOne(oldest)
}

func (s *sorter) closeOne(p partition) error {
	one := s.open[p]
	delete(s.open, p)
	return errors.Join(one.close(), one.file.Close())
}

func (s *sorter) close() error {
	var problems []error
	for p := range s.open {
		problems = append(problems, s.closeOne(p))
	}
	return errors.Join(problems...)
}
