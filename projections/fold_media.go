package projections

import "github.com/parley-engine/parley/events"

func (f *fold) mediaCreated(r *events.Recorded, sid string, e events.MediaCreated) error {
	return f.media.add(sid, Media{
		id: f.event, Sid: sid, AccountSid: e.Account, ChatServiceSid: e.Service, ContentType: e.ContentType,
		Filename: e.Filename, Size: e.Size, SHA256: e.SHA256, Author: e.Author,
		DateCreated: stored(e.At), DateUpdated: stored(e.At), LastRevision: r.Revision, Position: r.Position,
	})
}

func (f *fold) mediaRemoved(sid string) error {
	row, err := find(f.media, sid, sid)
	if err != nil {
		return err
	}
	f.media.drop(row)
	return nil
}

// attachMedia gives the files of a message to it. A file belongs to the first
// message that has it. Files without a row, and those of another service, are
// foreign: the message says what it says, but nothing here follows it.
//
// Nothing is done when the message goes: the row keeps its id, which is not used
// again, so that a join tells (see MediaToCollect).
func (f *fold) attachMedia(c *Conversation, e events.MessageAdded) error {
	for _, file := range e.Media {
		row, err := f.media.get(file.Media)
		if err != nil {
			return err
		}
		if row == nil || row.row.message != 0 || row.row.ChatServiceSid != c.ChatServiceSid {
			continue
		}
		m := &row.row
		m.message, m.ConversationSid, m.MessageSid, m.DateUpdated = f.event, c.Sid, e.Message, stored(e.At)
		f.media.mark(row, plainChange)
	}
	return nil
}
