package app

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/mapping"
)

// reloadTimeout bounds what a reload asks of the database.
const reloadTimeout = 30 * time.Second

// Reload makes the config that load returns the one that is used, whole or not at all. It checks all that a start checks,
// waits for a start that is not through, and disturbs nothing that runs: a transaction that is being read is mapped to its
// end as it began, and requests under way end as they began. What is wrong is logged and returned; then nothing has
// changed. It may be called from any goroutine.
func (a *App) Reload(ctx context.Context, load func() (*config.Config, error)) error {
	select {
	case <-a.started:
	default:
		a.log.Info("the config is read again as soon as rowhook has started")
		select {
		case <-a.started:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	a.reloading.Lock()
	defer a.reloading.Unlock()
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	err := a.reload(ctx, load)
	if err == nil || !errors.Is(err, context.Canceled) {
		a.noteReload(err)
	}
	if err == nil {
		a.metrics.reloads.WithLabelValues(reloadOK).Inc()
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return err // rowhook is stopping
	}
	a.metrics.reloads.WithLabelValues(reloadRefused).Inc()
	for _, mistake := range mistakes(err) {
		a.log.Error("the changed config is refused, the one before goes on", "mistake", mistake.Error())
	}
	return err
}

func (a *App) reload(ctx context.Context, load func() (*config.Config, error)) error {
	next, err := load()
	if err != nil {
		return err
	}
	now, src := a.live.Load(), a.source.Load()
	def, problems := mapping.Parse(next.Mapping)
	if err := errors.Join(restartOnly(now, next), problems.Err()); err != nil {
		return err
	}
	if a.opts.ProxyAlone {
		return a.reloadAlone(ctx, now, next, def)
	}
	problems, err = touchable(ctx, next, def)
	if err != nil {
		return notChecked(err)
	}
	if err := problems.Err(); err != nil {
		return err
	}
	tables, err := src.Tables(ctx, def.Tables())
	if err != nil {
		return notChecked(err)
	}
	all, err := withRelated(ctx, next, def, tables, src.Lineage())
	if err != nil {
		return notChecked(err)
	}
	mapper, err := a.compile(ctx, a.store.Load(), def, all, src.Lineage())
	if err != nil {
		return err
	}
	front, err := a.reloadedFront(now, next)
	if err != nil {
		return err
	}
	// The last that can fail. From here on the tables' changes are in the stream, and nothing is lost when they are mapped.
	added, left, err := src.Publish(ctx, def.Tables(), tables)
	if err != nil {
		if front != nil {
			front.close()
		}
		return notChecked(err)
	}

	// What makes events and sends them comes before what lets them be asked for: a subscription gets all that is
	// committed after it was made.
	a.live.Store(next)
	if !reflect.DeepEqual(now.App, next.App) {
		a.application.Swap(newApplication(next, a.opts.Version)).Close()
	}
	a.loadLabels(ctx, all)
	a.useFront(front)
	a.useMapper(next, mapper)
	a.dispatcher.Load().Reconfigure(a.senderConfig(next))
	offers := catalogueOf(mapper)
	a.catalogue.Store(&offers)
	a.useAPI(a.api(next))

	a.log.Info("config reloaded", "changed", strings.Join(now.Changed(next), " "))
	for _, t := range added {
		a.log.Info("table added to the publication", "table", t.String())
	}
	if len(left) > 0 {
		a.log.Info("tables are not mapped any more, and stay in the publication", "tables", names(left), "to_remove_them", src.Unpublish(left))
	}
	a.tellResources(next, mapper)
	return nil
}

// restartOnly refuses what a running process cannot take over.
func restartOnly(now, next *config.Config) error {
	keys := now.NeedRestart(next)
	if len(keys) == 0 {
		return nil
	}
	return fmt.Errorf("a reload cannot change %s\n  hint: restart rowhook, or change it back", strings.Join(keys, ", "))
}

// notChecked says how to go on when the database was only away.
func notChecked(err error) error {
	if cdc.ClassOf(err) != cdc.Unavailable || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("the changed config cannot be checked against the tables: %w\n  reload again when the database answers", err)
}

// mistakes are the mistakes in an error, one by one.
func mistakes(err error) []error {
	var out []error
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range several.Unwrap() {
			out = append(out, mistakes(e)...)
		}
		return out
	}
	var list problem.List
	if errors.As(err, &list) {
		for _, p := range list {
			out = append(out, p)
		}
		return out
	}
	return []error{err}
}

func names(tables []cdc.TableName) string {
	all := make([]string, len(tables))
	for i, t := range tables {
		all[i] = t.String()
	}
	return strings.Join(all, ", ")
}

// The results of a reload.
const (
	reloadOK      = "ok"
	reloadRefused = "refused"
)

func newReloads() *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rowhook_config_reloads_total",
		Help: "Reloads of the config, by result: ok, or refused, when the one before goes on."}, []string{"result"})
	// Both are there from the start, so that an alert on their growth sees the first one.
	c.WithLabelValues(reloadOK)
	c.WithLabelValues(reloadRefused)
	return c
}
