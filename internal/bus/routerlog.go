package bus

import (
	"log/slog"

	"github.com/ThreeDotsLabs/watermill"
)

// routerLog passes the router's errors on. Its other levels tell of every
// message and are dropped before they cost anything.
type routerLog struct{ log *slog.Logger }

func (l routerLog) Error(msg string, err error, fields watermill.LogFields) {
	l.log.Error("bus router reports an error", "detail", msg, "handler", fields["handler_name"], "err", err)
}
func (l routerLog) Info(string, watermill.LogFields)  {}
func (l routerLog) Debug(string, watermill.LogFields) {}
func (l routerLog) Trace(string, watermill.LogFields) {}

func (l routerLog) With(watermill.LogFields) watermill.LoggerAdapter { return l }
