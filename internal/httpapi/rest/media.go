package rest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/media"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/projections"
)

// urlLife is how long the address of a file's content can be used (reference 4.4).
const urlLife = 300 * time.Second

// mediaBody is an uploaded file (reference 4.4).
type mediaBody struct {
	Sid             string     `json:"sid"`
	AccountSid      string     `json:"account_sid"`
	ServiceSid      string     `json:"service_sid"`
	DateCreated     string     `json:"date_created" format:"date-time"`
	DateUpdated     string     `json:"date_updated" format:"date-time"`
	ConversationSid *string    `json:"conversation_sid"`
	ChannelSid      *string    `json:"channel_sid"`
	MessageSid      *string    `json:"message_sid"`
	Size            int64      `json:"size"`
	ContentType     string     `json:"content_type"`
	Filename        *string    `json:"filename"`
	Author          *string    `json:"author"`
	SHA256          string     `json:"sha256"`
	URL             string     `json:"url"`
	Links           mediaLinks `json:"links"`
}

type mediaLinks struct {
	Content                string `json:"content"`
	ContentDirectTemporary string `json:"content_direct_temporary"`
}

func (c *call) mediaBody(row projections.Media) mediaBody {
	url := c.root() + "/Services/" + row.ChatServiceSid + "/Media/" + row.Sid
	return mediaBody{
		Sid: row.Sid, AccountSid: row.AccountSid, ServiceSid: row.ChatServiceSid, DateCreated: stamp(row.DateCreated), DateUpdated: stamp(row.DateUpdated),
		ConversationSid: maybe(row.ConversationSid), ChannelSid: maybe(row.ConversationSid), MessageSid: maybe(row.MessageSid),
		Size: row.Size, ContentType: row.ContentType, Filename: maybe(row.Filename), Author: maybe(row.Author), SHA256: row.SHA256, URL: url,
		Links: mediaLinks{Content: url + "/Content", ContentDirectTemporary: c.signed(row.Sid, url+"/Content")},
	}
}

// signed adds to an address who may use it, which is everybody, and until when.
func (c *call) signed(sid, address string) string {
	expires := c.Now().Add(urlLife).Unix()
	return fmt.Sprintf("%s?Expires=%d&Signature=%s", address, expires, c.signature(sid, expires))
}

// FileURL is the address, below a root as in https://chat.example.com/v1, at which
// anybody can fetch a file of a service until it expires.
func FileURL(key []byte, root, service, sid string, expires time.Time) string {
	at := expires.Unix()
	return fmt.Sprintf("%s/Services/%s/Media/%s/Content?Expires=%d&Signature=%s", root, service, sid, at, signature(key, sid, at))
}

func (a *api) signature(sid string, expires int64) string { return signature(a.URLKey, sid, expires) }

func signature(key []byte, sid string, expires int64) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "media %s %d", sid, expires)
	return hex.EncodeToString(mac.Sum(nil))
}

// signatureHolds reports whether the query is one that signed made, in time.
func (a *api) signatureHolds(sid string, query url.Values) bool {
	expires, err := strconv.ParseInt(query.Get("Expires"), 10, 64)
	if err != nil || len(a.URLKey) == 0 || a.Now().After(time.Unix(expires, 0)) {
		return false
	}
	return hmac.Equal([]byte(query.Get("Signature")), []byte(a.signature(sid, expires)))
}

// media reads a file of the place that the caller may see: its own upload, or
// one in a conversation he takes part in.
func (c *call) media(sid string) (projections.Media, error) {
	if err := c.fresh(c.place.Service); err != nil { // which conversation may have attached it is not known yet
		return projections.Media{}, err
	}
	row, err := c.Models.Media(c.r.Context(), sid)
	if err := c.found(err, row.AccountSid, row.ChatServiceSid); err != nil {
		return row, err
	}
	if err := c.stillThere(row); err != nil {
		return row, err
	}
	switch {
	case c.caller.identity == "", row.ConversationSid == "" && row.Author == c.caller.identity:
		return row, nil
	case row.ConversationSid == "":
		return row, notFound(c.r.URL.Path)
	}
	err = c.sees(row.ConversationSid)
	if failure := engine.AsFailure(err); failure != nil && failure.Kind == string(domain.PermissionDenied) {
		err = notFound(c.r.URL.Path) // as of a file that was never there
	}
	return row, err
}

// stillThere refuses a file whose message was removed, though it may be a while
// until the file is cleared away.
func (c *call) stillThere(row projections.Media) error {
	if row.MessageSid == "" {
		return nil
	}
	_, err := c.Models.Message(c.r.Context(), row.ChatServiceSid, row.ConversationSid, row.MessageSid)
	return c.found(err, c.place.Account, "")
}

func (c *call) showMedia(sid string) error {
	row, err := c.media(sid)
	if err != nil {
		return err
	}
	c.revised(row.LastRevision)
	return c.answer(c.mediaBody(row))
}

func fetchMedia(c *call) error { return c.showMedia(c.r.PathValue("Sid")) }

// createMedia keeps the bytes first: a file that is known is there.
func createMedia(c *call) error {
	if c.Files == nil {
		return problem{status: http.StatusServiceUnavailable, code: 20500, message: "Uploads are not set up here", details: details{Code: "no_media"}}
	}
	if err := c.mayUpload(); err != nil {
		return err
	}
	contentType := c.r.Header.Get("Content-Type")
	if err := checkUploadType(contentType); err != nil {
		return err
	}
	limit := int64(media.MaxSize)
	if c.MaxMedia > 0 {
		limit = min(limit, c.MaxMedia)
	}
	name := filename(c.r)
	if fault := domain.TextFault(name); fault != "" { // that of the disposition: decode has seen the other
		return invalidParameter(0, "Filename", "Filename "+fault)
	}
	upload := &upload{Reader: http.MaxBytesReader(c.w, c.r.Body, limit+1)}
	hash, size, err := c.Files.Keep(c.r.Context(), upload, limit)
	if err != nil {
		return upload.failed(err, limit)
	}
	outcome, err := c.command("", media.Create{
		ContentType: contentType, Filename: name, Size: size, SHA256: hash, Author: c.values.str("Author"),
	})
	if err != nil {
		return err
	}
	if err := c.wait(outcome.Position); err != nil {
		return err
	}
	return c.showMedia(outcome.Sid)
}

// mayUpload refuses tokens of identities that are no users, and what is too much,
// before any byte is taken.
func (c *call) mayUpload() error {
	if c.caller.identity != "" {
		if _, err := c.Engine.UserSid(c.r.Context(), c.place, c.caller.identity); err != nil {
			return forbidden("There is no user with this identity")
		}
	}
	return c.limited("")
}

// checkUploadType refuses what HTTP clients send when they were not told what the
// file is, or wrap it: what is kept would not be what was meant.
func checkUploadType(contentType string) error {
	name, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return invalidParameter(50511, "Content-Type", "The upload's Content-Type is missing or malformed")
	case name == "application/x-www-form-urlencoded", name == "multipart/form-data":
		return invalidParameter(50511, "Content-Type", "An upload is the file's bytes alone, with the file's own Content-Type")
	}
	return nil
}

// ErrTooLarge is what Files returns for what is over the limit.
var ErrTooLarge = errors.New("the file is too large")

// upload tells what went wrong with the client from what went wrong here.
type upload struct {
	io.Reader
	err error // of the last read, if it was more than the end
}

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		u.err = err
	}
	return n, err
}

func (u *upload) failed(err error, limit int64) error {
	switch {
	case errors.Is(err, ErrTooLarge), tooLarge(u.err):
		return problem{status: http.StatusRequestEntityTooLarge, code: 50512, message: fmt.Sprintf("Media is at most %d bytes", limit), details: details{Code: "media_too_large"}}
	case u.err != nil:
		return unreadableBody(u.err)
	}
	return err
}

// filename is that of the parameter, else that of the disposition.
func filename(r *http.Request) string {
	if name := r.URL.Query().Get("Filename"); name != "" {
		return name
	}
	_, attributes, err := mime.ParseMediaType(r.Header.Get("Content-Disposition"))
	if err != nil {
		return ""
	}
	return attributes["filename"]
}

func fetchMediaContent(c *call) error {
	row, err := c.media(c.r.PathValue("Sid"))
	if err != nil {
		return err
	}
	return c.api.serveFile(c.w, c.r, row)
}

// signedFile answers for an address that signed made: no credentials are needed,
// and nobody's rights are looked at.
func (c *call) signedFile() error {
	row, err := c.Models.Media(c.r.Context(), c.r.PathValue("Sid"))
	if err == nil && row.ChatServiceSid != c.r.PathValue("ChatServiceSid") {
		err = notFound(c.r.URL.Path)
	}
	if err != nil {
		return err
	}
	if c.place, err = c.Engine.Place(c.r.Context(), row.AccountSid, row.ChatServiceSid); err != nil {
		return err
	}
	if row, err = c.media(row.Sid); err != nil {
		return err
	}
	return c.serveFile(c.w, c.r, row)
}

// serveFile sends the bytes, or the part that is asked for. A browser must not
// take them for a page of this site.
func (a *api) serveFile(w http.ResponseWriter, r *http.Request, row projections.Media) error {
	if a.Files == nil {
		return notFound(r.URL.Path)
	}
	file, err := a.Files.File(row.SHA256)
	if errors.Is(err, fs.ErrNotExist) {
		return notFound(r.URL.Path)
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	h := w.Header()
	h.Set("Content-Type", row.ContentType)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": otherwise(row.Filename, row.Sid)}))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cache-Control", "private, max-age=300")
	h.Set("ETag", `"`+row.SHA256+`"`)
	content := &contentWriter{ResponseWriter: w}
	http.ServeContent(content, r, "", row.DateCreated, file)
	if content.refused == 0 {
		return nil
	}
	for _, name := range []string{"Content-Disposition", "Content-Length", "Cache-Control", "Last-Modified"} {
		h.Del(name) // of the file, which is not sent
	}
	return problem{status: content.refused, code: 20422, message: "The part or version of the file that was asked for is not there",
		details: details{Code: "part_unavailable"}}
}

// contentWriter keeps back what net/http writes when it refuses a range or a
// condition: failures have one shape.
type contentWriter struct {
	http.ResponseWriter
	refused int
}

func (c *contentWriter) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		c.refused = status
		return
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *contentWriter) Write(p []byte) (int, error) {
	if c.refused != 0 {
		return len(p), nil
	}
	return c.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (c *contentWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
