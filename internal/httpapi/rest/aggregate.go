package rest

import (
	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/projections"
)

// command is what the engine is asked to do.
type command interface{ CommandType() string }

// The shapes that nearly all operations have. What differs is which command, which
// query, and how a row is shown.

// make has something made and shows it.
func (c *call) make(do command, show func(sid string) error) error {
	if err := c.limited(""); err != nil {
		return err
	}
	return c.done("", do, func(o engine.Outcome) error { return show(o.Sid) })
}

// change has something changed and shows it.
func (c *call) change(sid string, do command, show func(sid string) error) error {
	if err := c.limited(""); err != nil {
		return err
	}
	if err := c.wellFormed(sid); err != nil {
		return err
	}
	return c.done(sid, do, func(engine.Outcome) error { return show(sid) })
}

// remove has something removed.
func (c *call) remove(sid string, do command) error {
	if err := c.limited(""); err != nil {
		return err
	}
	if err := c.wellFormed(sid); err != nil {
		return err
	}
	if _, err := c.command(sid, do); err != nil {
		return err
	}
	return c.removed()
}

// changeIn has something changed in the path's conversation and shows it: to whoever
// sees it then. A repeat may come from somebody who left meanwhile.
func (c *call) changeIn(name string, do command, show func(conversation string, o engine.Outcome) error) error {
	conversation, err := c.write(name)
	if err != nil {
		return err
	}
	return c.done(conversation, do, func(o engine.Outcome) error {
		if err := c.sees(conversation); err != nil {
			return err
		}
		return show(conversation, o)
	})
}

// removeIn has something removed in the path's conversation.
func (c *call) removeIn(name string, do command) error {
	conversation, err := c.write(name)
	if err != nil {
		return err
	}
	if _, err := c.command(conversation, do); err != nil {
		return err
	}
	return c.removed()
}

// done has a command done and shows what came of it once the read models know.
func (c *call) done(aggregate string, do command, show func(engine.Outcome) error) error {
	outcome, err := c.command(aggregate, do)
	if err != nil {
		return err
	}
	if err := c.wait(outcome.Position); err != nil {
		return err
	}
	return show(outcome)
}

// wellFormed turns a path that names nothing into not found.
func (c *call) wellFormed(sid string) error {
	if len(sid) < 2 || !domain.IsSID(sid[:2], sid) {
		return notFound(c.r.URL.Path)
	}
	return nil
}

// showIn is the handler that shows something of the path's conversation.
func showIn(name string, show func(c *call, conversation string) error) func(*call) error {
	return func(c *call) error {
		conversation, err := c.read(name)
		if err != nil {
			return err
		}
		return c.kept(conversation, func() error { return show(c, conversation) })
	}
}

// listIn is the handler that lists something of the path's conversation.
func listIn[R, W any](find func(c *call, conversation string, p projections.Page) (projections.List[R], error), wire func(*call, R) W) func(*call) error {
	return func(c *call) error {
		p, err := c.page()
		if err != nil {
			return err
		}
		return showIn("ConversationSid", func(c *call, conversation string) error {
			list, err := find(c, conversation, p.Page)
			if err != nil {
				return err
			}
			return answerList(c, p, list, wire)
		})(c)
	}
}

// lists is the handler of a list that is as fresh as what was written about the
// aggregate.
func lists[R, W any](aggregate func(*call) string, find func(*call, projections.Page) (projections.List[R], error), wire func(*call, R) W) func(*call) error {
	return func(c *call) error {
		p, err := c.page()
		if err != nil {
			return err
		}
		if err := c.fresh(aggregate(c)); err != nil {
			return err
		}
		list, err := find(c, p.Page)
		if err != nil {
			return err
		}
		return answerList(c, p, list, wire)
	}
}

func theService(c *call) string { return c.place.Service }
func theAccount(c *call) string { return c.place.Account }
