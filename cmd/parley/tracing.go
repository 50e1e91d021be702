package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
)

// tracing tells OpenTelemetry what becomes of a command: from the message to the append
// and the read models. Names, SIDs and codes only, no content. nil does nothing.
type tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// newTracing returns nil unless the environment names a collector, as the specification
// of OpenTelemetry has it; the exporter and the SDK read their other settings there, too.
func newTracing(ctx context.Context) (*tracing, error) {
	if os.Getenv("OTEL_SDK_DISABLED") == "true" || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return nil, nil
	}
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return nil, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "parley"),
		attribute.String("service.version", thisBuild().Version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	return &tracing{p, p.Tracer("github.com/parley-engine/parley")}, nil
}

// close sends what is left.
func (t *tracing) close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	return nil
}

var w3c = propagation.TraceContext{}

const traceparent = "traceparent"

// execute is the engine's with a span around it, a child of the one that the command
// names; the command's events name the span.
func (t *tracing) execute(next func(context.Context, engine.Command) (engine.Outcome, error)) func(context.Context, engine.Command) (engine.Outcome, error) {
	if t == nil {
		return next
	}
	return func(ctx context.Context, c engine.Command) (engine.Outcome, error) {
		ctx, span := t.tracer.Start(within(ctx, c.Traceparent), spanName(c.Type), trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithAttributes(attribute.String("parley.command_id", c.ID.String())))
		defer span.End()
		carrier := propagation.MapCarrier{}
		w3c.Inject(ctx, carrier)
		c.Traceparent = carrier[traceparent]
		outcome, err := next(ctx, c)
		span.SetAttributes(attribute.String("parley.result", resultOf(err)), attribute.String("parley.aggregate", outcome.Aggregate))
		if resultOf(err) == engine.KindInternal {
			span.SetStatus(codes.Error, engine.KindInternal)
		}
		return outcome, err
	}
}

var knownCommands = func() map[string]bool {
	known := map[string]bool{}
	for _, c := range engine.CommandTypes() {
		known[c.Name] = true
	}
	return known
}()

// spanName keeps text that nobody has checked out of spans; of a refused command, that is
// also the aggregate.
func spanName(commandType string) string {
	if knownCommands[commandType] {
		return commandType
	}
	return "unknown"
}

// resultOf is ok or the code of a refusal.
func resultOf(err error) string {
	var failure *engine.Failure
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &failure):
		return failure.Code
	}
	return engine.KindInternal
}

func within(ctx context.Context, parent string) context.Context {
	return w3c.Extract(ctx, propagation.MapCarrier{traceparent: parent})
}

// tracedLog has a span for each append.
type tracedLog struct {
	store.Log
	t *tracing
}

func (t *tracing) log(l store.Log) store.Log {
	if t == nil {
		return l
	}
	return tracedLog{l, t}
}

// Append implements store.Appender.
func (l tracedLog) Append(ctx context.Context, stream string, expected store.Revision, batch []events.Proposed) (store.Appended, error) {
	if len(batch) > 0 && !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = within(ctx, batch[0].Metadata.Traceparent) // the engine appends in its own time
	}
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return l.Log.Append(ctx, stream, expected, batch) // of nobody's trace
	}
	category, _, _ := events.SplitStream(stream) // what follows can be the hash of a name
	ctx, span := l.t.tracer.Start(ctx, "append", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("parley.category", category), attribute.Int("parley.events", len(batch))))
	defer span.End()
	appended, err := l.Log.Append(ctx, stream, expected, batch)
	if err != nil {
		span.SetStatus(codes.Error, "append")
	}
	return appended, err
}

// maxProjected bounds the spans of one batch of the read models.
const maxProjected = 64

// applied has a span for each command whose events a batch brought into the read models.
func (t *tracing) applied() func([]events.Recorded, time.Time) {
	if t == nil {
		return nil
	}
	return func(batch []events.Recorded, began time.Time) {
		seen := map[string]bool{}
		for i := range batch {
			parent := batch[i].Metadata.Traceparent
			if parent == "" || seen[parent] || len(seen) == maxProjected {
				continue
			}
			seen[parent] = true
			_, span := t.tracer.Start(within(context.Background(), parent), "project "+projections.Name, trace.WithTimestamp(began),
				trace.WithAttributes(attribute.String("parley.position", batch[i].Position.String())))
			span.End()
		}
	}
}
