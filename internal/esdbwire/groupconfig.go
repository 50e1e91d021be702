package esdbwire

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire/competing"
	"github.com/parley-engine/parley/store"
)

// Streams and events in which the groups of consumers are kept.
const (
	groupsStream   = "$persistentSubscriptionConfig" // its last event has all groups
	groupsType     = "$PersistentConfig"
	groupMark      = "$persistentsubscription-" // before what a group keeps
	checkpointType = "$SubscriptionCheckpoint"
)

// wholeLog is the stream of a group that shares the whole log.
const wholeLog = "$all"

// ofGroups reports whether a stream is written by the groups alone.
func ofGroups(stream string) bool {
	return stream == groupsStream || strings.HasPrefix(stream, groupMark)
}

// groupName is a group of consumers and the stream they share.
type groupName struct {
	Stream string `json:"stream"`
	Group  string `json:"group"`
}

func (n groupName) all() bool          { return n.Stream == wholeLog }
func (n groupName) String() string     { return n.Stream + "::" + n.Group }
func (n groupName) checkpoint() string { return groupMark + n.String() + "-checkpoint" }
func (n groupName) parked() string     { return groupMark + n.String() + "-parked" }

func (n groupName) check() error {
	if n.Group == "" || len(n.checkpoint()) > longestName || !store.ValidName(n.String()) {
		return badRequest("a group needs a name of plain text; with its stream's it takes %d bytes", longestName-len(groupMark)-len("::-checkpoint"))
	}
	return nil
}

// place is how far a group has come: everything up to it is done.
type place struct {
	revision store.Revision  // in a stream; store.NoStream: nothing is
	position events.Position // in the whole log
}

// text is the place as it is kept and shown.
func (n groupName) text(p place) string {
	if n.all() {
		return fmt.Sprintf("C:%d/P:%d", p.position.Commit, p.position.Prepare)
	}
	return strconv.FormatInt(int64(p.revision), 10)
}

func (n groupName) place(text string) (p place, err error) {
	if n.all() {
		_, err = fmt.Sscanf(text, "C:%d/P:%d", &p.position.Commit, &p.position.Prepare)
		return p, err
	}
	revision, err := strconv.ParseInt(text, 10, 64)
	return place{revision: store.Revision(revision)}, err
}

// placeOf is the place of an event in what the group shares.
func (n groupName) placeOf(e *events.Recorded) place {
	return place{revision: store.Revision(e.Revision), position: e.Position}
}

// groupConfig is a group as it is kept.
type groupConfig struct {
	groupName
	ID     uuid.UUID    `json:"id"`    // tells it from an earlier one of its name
	From   string       `json:"from"`  // as it was asked for
	After  string       `json:"after"` // the place behind which it began
	Filter *groupFilter `json:"filter,omitempty"`

	ResolveLinks    bool               `json:"resolveLinks,omitempty"`
	ExtraStatistics bool               `json:"extraStatistics,omitempty"`
	Strategy        competing.Strategy `json:"strategy"`
	TimeoutMS       int32              `json:"messageTimeoutMs"`
	MaxRetries      int32              `json:"maxRetryCount"`
	CheckpointMS    int32              `json:"checkpointAfterMs"`
	MinCheckpoint   int32              `json:"minCheckpointCount"`
	MaxCheckpoint   int32              `json:"maxCheckpointCount"`
	MaxSubscribers  int32              `json:"maxSubscriberCount"` // 0: any number
	LiveBufferSize  int32              `json:"liveBufferSize"`
	ReadBatchSize   int32              `json:"readBatchSize"`
	HistoryBuffer   int32              `json:"historyBufferSize"`
}

// groupFilter selects events of the whole log.
type groupFilter struct {
	ByType   bool     `json:"byType,omitempty"` // otherwise by stream
	Regex    string   `json:"regex,omitempty"`
	Prefixes []string `json:"prefixes,omitempty"`
}

func (f *groupFilter) matches() (func(r *record) bool, error) {
	if f == nil {
		return func(*record) bool { return true }, nil
	}
	matches, err := matcher(f.Regex, f.Prefixes)
	if err != nil {
		return nil, err
	}
	return func(r *record) bool {
		if f.ByType {
			return matches(r.kind)
		}
		return matches(r.stream)
	}, nil
}

// wanted returns which records a group is for. What groups keep of themselves is for
// none that shares the whole log: it would go round for ever.
func (c *groupConfig) wanted() (func(r *record) bool, error) {
	if !c.all() {
		return func(r *record) bool { return r.stream == c.Stream }, nil
	}
	matches, err := c.Filter.matches()
	return func(r *record) bool { return !ofGroups(strings.TrimPrefix(r.stream, metastreamMark)) && matches(r) }, err
}

// settings are those of creating and updating a group.
type groupSettings interface {
	GetResolveLinks() bool
	GetExtraStatistics() bool
	GetMaxRetryCount() int32
	GetMinCheckpointCount() int32
	GetMaxCheckpointCount() int32
	GetMaxSubscriberCount() int32
	GetLiveBufferSize() int32
	GetReadBatchSize() int32
	GetHistoryBufferSize() int32
	GetMessageTimeoutTicks() int64
	GetMessageTimeoutMs() int32
	GetCheckpointAfterTicks() int64
	GetCheckpointAfterMs() int32
}

// set takes over settings.
func (c *groupConfig) set(s groupSettings, strategy string) error {
	c.ResolveLinks, c.ExtraStatistics = s.GetResolveLinks(), s.GetExtraStatistics()
	c.MaxRetries, c.MaxSubscribers = s.GetMaxRetryCount(), s.GetMaxSubscriberCount()
	c.MinCheckpoint, c.MaxCheckpoint = s.GetMinCheckpointCount(), s.GetMaxCheckpointCount()
	c.LiveBufferSize, c.ReadBatchSize, c.HistoryBuffer = s.GetLiveBufferSize(), s.GetReadBatchSize(), s.GetHistoryBufferSize()
	c.TimeoutMS = milliseconds(s.GetMessageTimeoutMs(), s.GetMessageTimeoutTicks())
	c.CheckpointMS = milliseconds(s.GetCheckpointAfterMs(), s.GetCheckpointAfterTicks())
	c.Strategy = competing.Strategy(strategy)
	if !c.Strategy.Known() {
		return badRequest("there is no consumer strategy %.40q", strategy)
	}
	return c.checkNumbers()
}

// milliseconds is a duration that is given in either unit; a tick is 100 ns.
func milliseconds(ms int32, ticks int64) int32 {
	if ticks != 0 {
		return int32(max(min(ticks/int64(time.Millisecond/100), math.MaxInt32), math.MinInt32))
	}
	return ms
}

// maxBuffer bounds the events that a group, or a consumer, may have at a time.
const maxBuffer = 10_000

func (c *groupConfig) checkNumbers() error {
	for name, n := range map[string]int32{
		"message timeout": c.TimeoutMS, "max retry count": c.MaxRetries, "checkpoint after": c.CheckpointMS,
		"min checkpoint count": c.MinCheckpoint, "max checkpoint count": c.MaxCheckpoint, "max subscriber count": c.MaxSubscribers,
	} {
		if n < 0 {
			return badRequest("%s is %d", name, n)
		}
	}
	for name, n := range map[string]int32{
		"live buffer size": c.LiveBufferSize, "read batch size": c.ReadBatchSize, "history buffer size": c.HistoryBuffer,
	} {
		if n < 1 || n > maxBuffer {
			return badRequest("%s is %d, not from 1 to %d", name, n, maxBuffer)
		}
	}
	if c.HistoryBuffer < c.ReadBatchSize {
		return badRequest("a history buffer of %d has no room for batches of %d", c.HistoryBuffer, c.ReadBatchSize)
	}
	return nil
}

// every is how often the group says how far it has come.
func (c *groupConfig) every() time.Duration { return time.Duration(c.CheckpointMS) * time.Millisecond }

// queue returns the queue that the group shares its events through.
func (c *groupConfig) queue() *competing.Queue {
	return competing.New(competing.Settings{
		Strategy: c.Strategy, Timeout: time.Duration(c.TimeoutMS) * time.Millisecond, MaxRetries: int(c.MaxRetries),
		Buffer: int(c.HistoryBuffer), Bytes: maxGroupBytes,
	})
}

// maxGroupBytes bounds what a group holds in memory of events that are not done; one
// event may go beyond it.
const maxGroupBytes = 64 << 20
