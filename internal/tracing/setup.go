package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Tracer makes the spans. It may be used by many goroutines at once.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	// header says that requests carry traceparent.
	header bool
}

// flushTime bounds how long the end waits for what is not sent yet.
const flushTime = 5 * time.Second

// New makes a Tracer of the standard variables, which env looks up; the exporter and the sampler read the rest of them from the
// environment themselves. It is nil where nothing says where spans are to go. Errors name the variable, and never hold the value of one
// that may be a secret. Nothing is connected to.
func New(ctx context.Context, version string, env func(string) string, log *slog.Logger) (*Tracer, error) {
	on, err := wanted(env)
	if err != nil || !on {
		return nil, err
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("make the exporter of traces: %w", err)
	}
	// What the environment says comes last, and wins.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "rowhook"), attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w; hint: write key=value,key=value", err)
	}
	t := newTracer(version, sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	t.header = propagates(env("OTEL_PROPAGATORS"))
	otel.SetErrorHandler(&complaints{log: log})
	return t, nil
}

func newTracer(version string, options ...sdktrace.TracerProviderOption) *Tracer {
	provider := sdktrace.NewTracerProvider(append(options, sdktrace.WithIDGenerator(generator{}))...)
	return &Tracer{provider: provider, tracer: provider.Tracer("github.com/rowhook/rowhook", trace.WithInstrumentationVersion(version)), header: true}
}

// Close sends what is not sent yet, for at most five seconds.
func (t *Tracer) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	return t.provider.Shutdown(ctx)
}

const endpointVariable, tracesEndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"

// wanted says whether spans are to be made. The specification would send them to localhost where nothing is said; here that is off.
func wanted(env func(string) string) (bool, error) {
	if strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	given := false
	switch exporter := env("OTEL_TRACES_EXPORTER"); exporter {
	case "none":
		return false, nil
	case "":
	case "otlp":
		given = true
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER is %q, and rowhook has only otlp and none; hint: a collector takes OTLP and hands it on", exporter)
	}
	for _, name := range []string{tracesEndpointVariable, endpointVariable} {
		text := env(name)
		if text == "" {
			continue
		}
		given = true
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return false, fmt.Errorf("%s is no http or https URL; hint: http://localhost:4318", name)
		}
	}
	if !given {
		return false, nil
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if p := env(name); p != "" && p != "http/protobuf" {
			return false, fmt.Errorf("%s is %q, and rowhook speaks only http/protobuf; hint: leave it out, and name the port for HTTP, which is 4318", name, p)
		}
	}
	return true, nil
}

// propagates says whether receivers get traceparent, by OTEL_PROPAGATORS.
func propagates(list string) bool {
	if list == "" {
		return true
	}
	return slices.ContainsFunc(strings.Split(list, ","), func(p string) bool { return strings.TrimSpace(p) == "tracecontext" })
}
