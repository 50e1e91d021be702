package engine

import "github.com/parley-engine/parley/domain/conversation"

// ConversationSchema is what snapshots of conversations are saved under.
var ConversationSchema = schemaOf[conversation.State]()
