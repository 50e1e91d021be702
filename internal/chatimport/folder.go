package chatimport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// Folder is a source on disk: pages of lists as the REST API returned them, in files
// by the lists' paths. The first page of Services/IS…/Channels is
// Services/IS…/Channels.json, the next ones Channels.1.json, Channels.2.json, ….
type Folder string

// String implements Source.
func (f Folder) String() string { return string(f) }

// Items implements Source.
func (f Folder) Items(ctx context.Context, list List) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		files, err := f.pages(list)
		if err != nil {
			yield(Item{}, err)
			return
		}
		for i, file := range files {
			items, err := f.load(ctx, file, list.Key, i == len(files)-1)
			if err != nil {
				yield(Item{}, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

// numbered is a file and which page is in it.
type numbered struct {
	path   string
	number int
}

// pages are the list's files in order; all of them must be there.
func (f Folder) pages(list List) ([]numbered, error) {
	whole := filepath.Join(string(f), filepath.FromSlash(list.Path))
	dir, name := filepath.Split(whole)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	form := regexp.MustCompile(`^` + regexp.QuoteMeta(name) + `(?:\.(\d{1,9}))?\.json$`)
	var files []numbered
	for _, entry := range entries {
		if match := form.FindStringSubmatch(entry.Name()); match != nil {
			number, _ := strconv.Atoi(cmp.Or(match[1], "0")) // digits, and not many
			files = append(files, numbered{filepath.Join(dir, entry.Name()), number})
		}
	}
	slices.SortFunc(files, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	for i, file := range files {
		if file.number > i {
			return nil, fmt.Errorf("%s: page %d of this list is missing", file.path, i)
		} else if file.number < i {
			return nil, fmt.Errorf("%s: page %d of this list is there twice", file.path, file.number)
		}
	}
	if len(files) == 0 && !list.Optional {
		return nil, fmt.Errorf("%s.json is missing", whole)
	}
	return files, nil
}

func (f Folder) load(ctx context.Context, file numbered, key string, last bool) ([]Item, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	info, err := os.Stat(file.path)
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxPage {
		return nil, fmt.Errorf("%s has %d bytes; a page has at most %d", file.path, info.Size(), MaxPage)
	}
	data, err := os.ReadFile(file.path)
	if err != nil {
		return nil, err
	}
	p := &page{name: file.path, data: data}
	items, err := p.items(key)
	if err == nil && last && p.next != "" {
		err = fmt.Errorf("%s: there is a page after it, which is missing here: %s", file.path, p.next)
	}
	return items, err
}
