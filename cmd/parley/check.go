package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/bus/broker/salvage"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
)

func checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "check", Short: "Checks for monitoring: 0 ok, 1 warning, 2 critical, 3 unknown",
		Long: "Checks in the convention of monitoring plugins: one line with performance data\nbehind the bar, and the exit codes 0 ok, 1 warning, 2 critical, 3 unknown.",
	}
	c.AddCommand(
		check("health", "Is the server up and ready?", 0, 0, checkHealth),
		check("lag", "How many seconds are the read models behind the log?", 5, 30, checkLag),
		check("timers", "How many seconds late is the oldest timer that has not fired?", 10, 60, checkTimers),
		check("quarantine", "How many streams are parked for the read models?", 1, 100, checkQuarantine),
		check("backlog", "How many seconds has the oldest durable command waited that is not done?", 30, 300, checkBacklog),
		check("damage", "How often were the embedded broker's files found damaged?", 1, 100, checkDamage),
		check("dlq", "How many dead letters are there?", 1, 100, checkDeadLetters),
	)
	return c
}

// finding is what a check measured: a number to compare, and a sentence.
type finding struct {
	value    float64
	sentence string
}

// check makes a subcommand. A threshold of zero for both means that any value
// above zero is critical.
func check(name, about string, warn, critical float64, measure func(context.Context, folder) (finding, error)) *cobra.Command {
	c := &cobra.Command{Use: name, Short: about, Args: noArguments}
	data := dataFlag(c)
	timeout := c.Flags().Duration("timeout", 10*time.Second, "how long the check may take")
	if critical > 0 {
		c.Flags().Float64Var(&warn, "warn", warn, "warning from this value on")
		c.Flags().Float64Var(&critical, "critical", critical, "critical from this value on")
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(c.Context(), *timeout)
		defer cancel()
		found, err := measure(ctx, folder(*data))
		if err != nil {
			fmt.Fprintf(c.OutOrStdout(), "UNKNOWN %s: %v\n", name, err)
			return &quietError{checkUnknownCode}
		}
		code, word := grade(found.value, warn, critical)
		fmt.Fprintf(c.OutOrStdout(), "%s %s: %s | %s=%g;%g;%g\n", word, name, found.sentence, name, found.value, warn, critical)
		if code == checkOK {
			return nil
		}
		return &quietError{code}
	}
	return c
}

func grade(value, warn, critical float64) (code int, word string) {
	switch {
	case value > 0 && value >= critical:
		return checkCritical, "CRITICAL"
	case value > 0 && value >= warn:
		return checkWarning, "WARNING"
	default:
		return checkOK, "OK"
	}
}

func checkHealth(ctx context.Context, f folder) (finding, error) {
	e, err := f.running()
	if errors.Is(err, errNoServer) {
		return finding{1, err.Error()}, nil
	}
	if err != nil {
		return finding{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.forOperators()+"/readyz", nil)
	if err != nil {
		return finding{}, err
	}
	client, err := e.client()
	if err != nil {
		return finding{}, err
	}
	response, err := client.Do(request)
	if err != nil {
		return finding{1, "the server does not answer"}, nil
	}
	defer response.Body.Close() //nolint:errcheck // nothing is read from it
	if response.StatusCode != http.StatusOK {
		return finding{1, "the server is not ready"}, nil
	}
	return finding{0, "ready"}, nil
}

// checkLag reads the folder itself, so that it tells even when the server hangs:
// the age of the oldest event that the read models do not have.
func checkLag(ctx context.Context, f folder) (found finding, err error) {
	err = withReading(ctx, string(f), func(r *reading) error {
		position, err := r.queries.Position(ctx)
		if err != nil {
			return err
		}
		found = finding{0, "read models are at the head, position " + position.String()}
		for e, err := range r.log.ReadAll(ctx, position, store.Filter{}) {
			if err != nil {
				return err
			}
			late := time.Since(e.Recorded).Seconds()
			found = finding{late, fmt.Sprintf("read models are %.1f s behind, at position %s", late, position)}
			break
		}
		return nil
	})
	return found, err
}

func checkTimers(ctx context.Context, f folder) (found finding, err error) {
	err = withReading(ctx, string(f), func(r *reading) error {
		oldest, late := time.Now(), 0
		_, err := r.queries.DueRows(ctx, func(d projections.Due) bool {
			if next := d.Next(); !next.IsZero() && next.Before(time.Now()) {
				late++
				if next.Before(oldest) {
					oldest = next
				}
			}
			return true
		})
		seconds := time.Since(oldest).Seconds()
		if late == 0 {
			seconds = 0
		}
		found = finding{seconds, fmt.Sprintf("%d timers are due and have not fired", late)}
		return err
	})
	return found, err
}

func checkQuarantine(ctx context.Context, f folder) (found finding, err error) {
	err = withReading(ctx, string(f), func(r *reading) error {
		list, err := r.queries.Quarantined(ctx)
		found = finding{float64(len(list)), fmt.Sprintf("%d streams are quarantined", len(list))}
		return err
	})
	return found, err
}

func checkDeadLetters(ctx context.Context, f folder) (found finding, err error) {
	err = withLetters(ctx, f, func(d *bus.DeadLetters) error {
		letters, err := d.List(ctx, "", 0)
		found = finding{float64(len(letters)), fmt.Sprintf("%d dead letters", len(letters))}
		return err
	})
	return found, err
}

func checkBacklog(ctx context.Context, f folder) (found finding, err error) {
	err = withBroker(f, func(conn *nats.Conn) error {
		waiting, err := bus.MeasureBacklog(ctx, conn)
		seconds := age(waiting.Oldest)
		found = finding{seconds, fmt.Sprintf("%d durable commands are not done, the oldest for %.1f s", waiting.Commands, seconds)}
		return err
	})
	return found, err
}

func checkDamage(_ context.Context, f folder) (finding, error) {
	if err := f.exists(); err != nil {
		return finding{}, err
	}
	reports, err := salvage.Reports(f.path("bus"))
	return finding{float64(reports), fmt.Sprintf("%d reports of damage in %s", reports, f.path("bus", "damaged"))}, err
}
