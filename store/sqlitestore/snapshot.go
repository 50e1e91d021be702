package sqlitestore

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite/sqlitex"
)

// Snapshot writes the log as it is at one moment into a new file, which a Store or a
// Reader can open. It stops when ctx ends. Appends go on meanwhile, and the write-ahead file grows by them until
// it is done. The file is not synced; what an error leaves of it is of no use.
func (r *Reader) Snapshot(ctx context.Context, path string) error {
	return r.pool.with(ctx, func(c *reader) (err error) {
		if err := exec(c.Conn, "PRAGMA query_only = OFF"); err != nil {
			return err
		}
		defer func() {
			if restored := exec(c.Conn, "PRAGMA query_only = ON"); err == nil {
				err = restored
			}
		}()
		before := c.SetInterrupt(ctx.Done())
		defer c.SetInterrupt(before)
		if err := sqlitex.ExecuteTransient(c.Conn, "VACUUM INTO ?", &sqlitex.ExecOptions{Args: []any{path}}); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		return nil
	})
}
