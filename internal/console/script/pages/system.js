// The system: what is checked, the slot, the log, the store, the config as it runs.
import { html, useState } from '../../site/vendor/htm@3.1.1/standalone.module.js';
import { get } from '../api.js';
import { bytes, count, many, seconds, stamp } from '../format.js';
import { Button, Code, Facts, Failure, For, Head, Loading, State, When, useLoad, useNow, useTitle } from '../ui.js';
import { Finding } from './overview.js';

export function System({ session }) {
  useTitle('System');
  const now = useNow();
  const has = (f) => session.features.includes(f);
  const status = useLoad(async (signal) => (has('status') ? (await get('/status', null, signal)).data : null), [], { every: 5000 });
  const s = status.data;
  return html`<${Head} title="System" sub=${html`<span>rowhook ${session.version}</span>${s && html`<${State} of=${s.state} /><span>${s.role}</span><span>${s.process}</span><span>has run <${For} since=${s.started_at} now=${now} /></span>`}`} />
    ${has('system') && html`<${Checks} now=${now} />`}
    ${has('status') && html`<${Failure} error=${status.error} again=${status.reload} />`}
    ${s && html`
      <section><h2>Database and slot</h2><${Facts} of=${[
        s.database && ['Database', s.database.name], s.database && ['Postgres', s.database.server_version], s.database?.environment ? ['Environment', s.database.environment] : null,
        s.database && ['System, timeline', `${s.database.system_identifier}, ${s.database.timeline}`],
        s.slot && ['Slot', html`${s.slot.name} <${State} of=${s.slot.active ? 'active' : 'disabled'} word=${s.slot.active ? 'active' : 'not in use'} />`], s.slot && ['WAL', s.slot.wal_status],
        s.slot && ['Behind', bytes(s.slot.lag_bytes)], s.stream && ['Lag', seconds(s.stream.lag_seconds)], s.slot && ['WAL kept for the slot', bytes(s.slot.retained_bytes)],
        s.slot && ['Until it is lost', s.slot.safe_wal_bytes === null || s.slot.safe_wal_bytes === undefined ? 'without a limit' : bytes(s.slot.safe_wal_bytes)],
        s.slot && ['Acknowledged', html`<code>${s.slot.confirmed_lsn}</code>`], s.slot && ['Written', html`<code>${s.slot.current_lsn}</code>`],
        s.stream && ['Last commit', html`<${When} at=${s.stream.last_commit_at} now=${now} />`], s.stream && ['Reconnects', count(s.stream.reconnects)],
      ]} /></section>
      <section><h2>Store</h2><${Facts} of=${[
        s.store && ['Size', bytes(s.store.bytes)], s.event_log && ['Events kept', `about ${count(s.event_log.rows_estimate)}`], s.event_log && ['Of which', bytes(s.event_log.bytes)],
        s.event_log && ['Oldest', html`<${When} at=${s.event_log.oldest_at} now=${now} />`], s.event_log && ['Retention', seconds(s.event_log.retention_seconds)], s.event_log && ['Partitions', count(s.event_log.partitions)],
        s.deliveries && ['Under way', `${many(s.deliveries.in_memory, 'delivery', 'deliveries')}, ${bytes(s.deliveries.memory_bytes)} of ${bytes(s.deliveries.memory_limit_bytes)}`], s.deliveries && ['Waiting', count(s.deliveries.due)],
        s.subscriptions && ['Subscriptions', `${count(s.subscriptions.active)} active, ${count(s.subscriptions.disabled)} disabled, ${count(s.subscriptions.pending)} pending, ${count(s.subscriptions.feed_only)} feeds`],
      ]} /></section>`}
    ${has('system') && html`<${Config} />`}`;
}

function Checks({ now }) {
  const { data, error, loading, reload, put } = useLoad(async (signal) => (await get('/check', null, signal)).data, []);
  const [good, show] = useState(false);
  return html`<section aria-labelledby="checks"><h2 id="checks">Checks</h2>
    ${!data && loading && html`<${Loading} />`}<${Failure} error=${error} again=${reload} />
    ${data && html`<p class="sub" role="status"><${State} of=${data.errors ? 'error' : data.warnings ? 'warning' : 'done'} word=${data.ok && !data.warnings ? 'all is well' : `${many(data.errors, 'error')}, ${many(data.warnings, 'warning')}`} />
      <span>looked at <${When} at=${data.at} now=${now} />, in ${seconds(data.took_ms / 1000)}</span>
      <${Button} kind="quiet" act=${async () => put((await get('/check', { fresh: true })).data)}>Check again<//></p>
      ${data.findings.length > 0 && html`<br /><ul>${data.findings.map((f) => html`<${Finding} level=${f.level} what=${f.what} so=${f.consequence} place=${f.place} mend=${f.mend} sql=${f.sql} />`)}</ul>`}
      ${data.good?.length > 0 && html`<p><button type="button" class="quiet" aria-expanded=${good ? 'true' : 'false'} onClick=${() => show(!good)}>${good ? 'Hide' : 'Show'} what is right (${data.good.length})</button></p>${good && html`<ul>${data.good.map((g) => html`<li><${State} of="done" word=${' '} />${g}</li>`)}</ul>`}`}`}
  </section>`;
}

function Config() {
  const { data, error, loading, reload } = useLoad(async (signal) => (await get('/config', null, signal)).data, []);
  if (error?.status === 404) {
    return html`<section><h2>Config</h2><p>There is none to show: this rowhook runs without a config file, as <code>rowhook dev</code> does. This prints one to begin with, made from the tables of your database:</p><br />
      <${Code} label="The command" text="rowhook init --database-url $DATABASE_URL" /></section>`;
  }
  return html`<section><h2>Config, as it runs</h2><${Failure} error=${error} again=${reload} />${!data && loading && html`<${Loading} />`}
    ${data && html`<p class="sub"><code>${data.path}</code><span>read ${stamp(data.loaded_at)}</span><span>secrets are stars</span></p><br /><${Code} label="The config" text=${data.text} />`}</section>`;
}
