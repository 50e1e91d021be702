package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Limits of a file.
const (
	MaxTokens  = 256 // valid ones at a time
	maxRevoked = 256 // that are remembered; the oldest are forgotten
)

// Errors of a file.
var (
	ErrNoToken = errors.New("no such token")
	ErrFull    = fmt.Errorf("there are %d tokens already: revoke one", MaxTokens)
	ErrDamaged = errors.New("the file of bus tokens is damaged: bring it back from a backup, or remove it and make the tokens anew")
)

// File keeps the tokens, for its owner's eyes only. A change replaces it: all of it or
// none, and durable when the change returns. Changes must not run at the same time
// (see [Lock]); reading may.
type File string

// contents of the file. Format tells later versions apart.
type contents struct {
	Format int     `json:"format"`
	Tokens []Token `json:"tokens"` // oldest first, revoked ones among them
}

// Tokens returns all tokens, oldest first, those that were revoked among them. A file
// that is not there has none; one that cannot be read is ErrDamaged.
func (f File) Tokens() ([]Token, error) {
	data, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var c contents
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, f, err)
	}
	if c.Format != 1 {
		return nil, fmt.Errorf("%w: %s has format %d, this program knows 1", ErrDamaged, f, c.Format)
	}
	for i := range c.Tokens {
		if err := c.Tokens[i].sound(); err != nil {
			return nil, fmt.Errorf("%w: %s: token %.40q: %w", ErrDamaged, f, c.Tokens[i].ID, err)
		}
	}
	return c.Tokens, nil
}

// sound checks what was read, because subjects are made of it.
func (t *Token) sound() error {
	if !idForm.MatchString(t.ID) || len(t.Hash) != 64 {
		return errors.New("its id or hash is not of the form")
	}
	same, err := checked(*t)
	if err == nil && (!slices.Equal(same.Roles, t.Roles) || !slices.Equal(same.Actors, t.Actors)) {
		err = errors.New("roles and actors must be sorted, each once")
	}
	return err
}

// Create adds a token as New makes it and returns it with its secret.
func (f File) Create(wanted Token, by string, now time.Time) (t Token, secret string, err error) {
	tokens, err := f.Tokens()
	if err != nil {
		return t, "", err
	}
	if t, secret, err = New(wanted, by, now); err != nil {
		return t, "", err
	}
	valid := 0
	for i := range tokens {
		if tokens[i].Valid() {
			valid++
		}
	}
	if valid >= MaxTokens {
		return t, "", ErrFull
	}
	return t, secret, f.write(append(tokens, t))
}

// Revoke makes a token void; one that is void already stays as it is. ErrNoToken says
// that there is none with the id.
func (f File) Revoke(id, by string, now time.Time) (t Token, err error) {
	tokens, err := f.Tokens()
	if err != nil {
		return t, err
	}
	i := slices.IndexFunc(tokens, func(t Token) bool { return t.ID == id })
	if i < 0 {
		return t, fmt.Errorf("%w: %.40q", ErrNoToken, id)
	}
	if !tokens[i].Valid() {
		return tokens[i], nil
	}
	tokens[i].Revoked, tokens[i].RevokedBy = now.UTC().Truncate(time.Second), by
	return tokens[i], f.write(withoutOldest(tokens))
}

// withoutOldest forgets the revoked tokens that are too many.
func withoutOldest(tokens []Token) []Token {
	revoked := 0
	for i := range tokens {
		if !tokens[i].Valid() {
			revoked++
		}
	}
	return slices.DeleteFunc(tokens, func(t Token) bool {
		if t.Valid() || revoked <= maxRevoked {
			return false
		}
		revoked--
		return true
	})
}

func (f File) write(tokens []Token) error {
	data, err := json.MarshalIndent(contents{Format: 1, Tokens: tokens}, "", "  ")
	if err != nil {
		return err
	}
	path := string(f)
	file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(data, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
