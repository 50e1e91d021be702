package chatimport_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/chatimport"
)

// folderOf saves what a service has, in pages.
func folderOf(t *testing.T, c *chat) chatimport.Folder {
	t.Helper()
	dir := t.TempDir()
	for name, list := range c.lists {
		for page, from := 0, 0; page == 0 || from < len(list); page, from = page+1, from+pageSize {
			file := filepath.Join(dir, filepath.FromSlash(name)+".json")
			if page > 0 {
				file = filepath.Join(dir, fmt.Sprintf("%s.%d.json", filepath.FromSlash(name), page))
			}
			items := append([]record{}, list[min(from, len(list)):min(from+pageSize, len(list))]...)
			data, err := json.Marshal(record{strings.ToLower(path.Base(name)): items})
			require.NoError(t, err)
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, data, 0o600))
		}
	}
	return chatimport.Folder(dir)
}

func TestAFolderIsAsGoodAsTheService(t *testing.T) {
	c, h := newChat(t, 23, 27), newHouse(t)
	require.True(t, h.take(folderOf(t, c), chatimport.Options{}).OK)
	head := h.head()
	require.True(t, h.take(c.source(), chatimport.Options{}).OK)
	require.Equal(t, head, h.head())
}

func TestPagesThatAreMissingAreNamed(t *testing.T) {
	users := filepath.Join("Services", number("IS", 1), "Users")
	for name, row := range map[string]struct {
		change func(t *testing.T, dir string)
		want   string
	}{
		"one in the middle": {func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, users+".1.json"))) }, "page 1 of this list is missing"},
		"the first":         {func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, users+".json"))) }, "page 0 of this list is missing"},
		"a page twice": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, users+".01.json"), []byte(`{"users":[]}`), 0o600))
		}, "page 1 of this list is there twice"},
		"a folder in its place": {func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, users+".2.json")))
			require.NoError(t, os.Mkdir(filepath.Join(dir, users+".2.json"), 0o755))
		}, "directory"},
		"a page too long": {func(t *testing.T, dir string) {
			require.NoError(t, os.Truncate(filepath.Join(dir, users+".json"), chatimport.MaxPage+1))
		}, "a page has at most"},
	} {
		t.Run(name, func(t *testing.T) {
			c, h := newChat(t, 5, 1), newHouse(t)
			folder := folderOf(t, c)
			row.change(t, string(folder))
			_, err := chatimport.Run(t.Context(), folder, h.target(), chatimport.Options{})
			require.ErrorContains(t, err, row.want)
		})
	}
}
