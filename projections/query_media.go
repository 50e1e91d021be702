package projections

import (
	"context"
	"time"

	"zombiezen.com/go/sqlite"
)

// Media returns a file.
func (q *Queries) Media(ctx context.Context, sid string) (Media, error) {
	return bySid(ctx, q, mediaTable, sid)
}

// MediaOfService lists a service's files in the order they were uploaded.
func (q *Queries) MediaOfService(ctx context.Context, service string, page Page) (List[Media], error) {
	return pageOf(ctx, q, mediaOf(service), page)
}

// MediaHeld reports whether any file has the bytes with the hash, in whatever
// service: they are kept once and may go when the last file has gone.
func (q *Queries) MediaHeld(ctx context.Context, sha256 string) (held bool, err error) {
	err = q.view(ctx, func(conn *sqlite.Conn) error {
		held, err = anyRow(conn, "FROM media WHERE sha256 = ?", sha256)
		return err
	})
	return held, err
}

// MediaToCollect lists the files that nobody needs, in the order they were
// uploaded: those that no message has and that were uploaded before the instant,
// and those whose message, or its conversation, was removed. It looks at every
// file, which is for a job that runs now and then, not for a request.
func (q *Queries) MediaToCollect(ctx context.Context, unattachedBefore time.Time, page Page) (List[Media], error) {
	return pageOf(ctx, q, mediaToCollect(unattachedBefore), page)
}

func mediaOf(service string) listing[Media] { return mediaWhere("chat_service_sid = ?", service) }

func mediaToCollect(unattachedBefore time.Time) listing[Media] {
	return mediaWhere(`(message IS NULL AND date_created < ?
		OR message IS NOT NULL AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = media.message))`,
		unattachedBefore.UnixMilli())
}

func mediaWhere(condition string, args ...any) listing[Media] {
	return listing[Media]{
		columns: mediaTable.columns, from: "FROM media WHERE " + condition, args: args,
		order: []string{"id"}, key: func(m Media) Key { return byID(m.id) }, bind: bindID,
	}
}
