package rest

import "github.com/parley-engine/parley/domain"

// make has something made and shows it.
func (c *call) make(command interface{ CommandType() string }, show func(sid string) error) error {
	if err := c.limited(""); err != nil {
		return err
	}
	outcome, err := c.command("", command)
	if err != nil {
		return err
	}
	if err := c.wait(outcome.Position); err != nil {
		return err
	}
	return show(outcome.Sid)
}

// change has something changed and shows it.
func (c *call) change(sid string, command interface{ CommandType() string }, show func(sid string) error) error {
	if err := c.limited(""); err != nil {
		return err
	}
	if err := c.wellFormed(sid); err != nil {
		return err
	}
	outcome, err := c.command(sid, command)
	if err != nil {
		return err
	}
	if err := c.wait(outcome.Position); err != nil {
		return err
	}
	return show(sid)
}

// remove has something removed.
func (c *call) remove(sid string, command interface{ CommandType() string }) error {
	if err := c.limited(""); err != nil {
		return err
	}
	if err := c.wellFormed(sid); err != nil {
		return err
	}
	if _, err := c.command(sid, command); err != nil {
		return err
	}
	return c.removed()
}

// wellFormed turns a path that names nothing into not found.
func (c *call) wellFormed(sid string) error {
	if len(sid) < 2 || !domain.IsSID(sid[:2], sid) {
		return notFound(c.r.URL.Path)
	}
	return nil
}
