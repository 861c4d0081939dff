// The overview: what is going on, what is wrong and how it is mended, then the numbers.
import { html } from '../../site/vendor/htm@3.1.1/standalone.module.js';
import { get } from '../api.js';
import { Chart, binary } from '../chart.js';
import { bytes, count, many, rate, seconds } from '../format.js';
import { Linked, Mend } from '../mend.js';
import { root } from '../router.js';
import { Code, Failure, For, Head, Loading, State, Table, When, useLoad, useNow, useTitle } from '../ui.js';
import { Next } from './held.js';
import { JobTable } from './jobs.js';

export function Finding({ level, code, what, so, mend, since, place, sql }) {
  return html`<li class="finding"><div><${State} of=${level} />${since && html`<span class="under"><${When} at=${since} /></span>`}${code && html`<code class="under">${code}</code>`}</div>
    <div><p>${place && html`<code>${place}</code> `}<strong><${Linked} text=${what} /></strong></p>${so && html`<p class="so">${so}</p>`}
    ${mend && html`<${Mend} text=${mend} />`}
    ${(sql || []).map((s) => html`<div>${s.note && html`<p class="so">${s.note}</p>`}<${Code} text=${s.statement} label="The SQL that mends it" lines=${false} /></div>`)}</div></li>`;
}

const Figure = ({ name, value, unit, under }) => html`<div><dt>${name}</dt><dd>${value}${unit && html`<small>${unit}</small>`}</dd>${under && html`<span class="under">${under}</span>`}</div>`;

/** A value and its unit apart, so that the unit can stand small. */
const split = (text) => {
  const i = text.lastIndexOf(' ');
  return i < 0 ? { value: text } : { value: text.slice(0, i), unit: text.slice(i + 1) };
};

/** How much of the worst there is. */
const Worst = ({ errors, warnings }) => (errors ? html`<${State} of="error" word=${many(errors, 'error')} />` : warnings ? html`<${State} of="warning" word=${many(warnings, 'warning')} />` : null);

export function Overview() {
  useTitle('Overview');
  const now = useNow();
  const { data, error, reload } = useLoad(async (signal) => (await get('/status', null, signal)).data, [], { every: 2000 });
  if (!data) return error ? html`<${Head} title="Overview" /><${Failure} error=${error} again=${reload} />` : html`<${Head} title="Overview" /><${Loading} />`;
  const s = data;
  const series = s.series || [];
  const times = series.map((p) => Date.parse(p.at) / 1000);
  const step = times.length > 1 ? times[1] - times[0] : 10;
  const column = (name) => series.map((p) => p[name] ?? null);
  const perSecond = (name) => series.map((p) => (p[name] === null || p[name] === undefined ? null : p[name] / step));
  const r = s.rates || {};
  const lat = r.latency_seconds || {};
  const due = s.deliveries || {};
  const [errors, warnings] = ['error', 'warning'].map((level) => (s.findings || []).filter((f) => f.severity === level).length);
  return html`
    <${Head} title=${html`<span class=${errors ? 'bad' : ''}>${s.summary.charAt(0).toUpperCase() + s.summary.slice(1)}</span>`} sub=${html`<${Worst} errors=${errors} warnings=${warnings} />
      <span><${State} of=${s.state} tone=${errors ? 'calm' : ''} /> <${For} since=${s.since} now=${now} /></span>
      ${s.database && html`<span>${s.database.name}${s.database.environment ? ` (${s.database.environment})` : ''}, Postgres ${s.database.server_version}</span>`}`} />
    ${error && html`<${Failure} error=${error} />`}
    <section aria-labelledby="findings"><h2 id="findings" class=${s.findings?.length ? '' : 'off'}>${s.findings?.length ? 'To be mended' : 'Nothing is to be mended'}</h2>
      ${s.findings?.length > 0 && html`<ul>${s.findings.map((f) => html`<${Finding} key=${f.code + f.what} level=${f.severity} code=${f.code} what=${f.what} so=${f.so} mend=${f.mend} since=${f.since} />`)}</ul>`}
    </section>
    <section aria-label="Figures"><dl class="ledger">
      <${Figure} name="Lag" ...${split(seconds(s.stream?.lag_seconds))} under=${bytes(s.slot?.lag_bytes)} />
      <${Figure} name="Events" value=${rate(r.events_per_second)} unit="/s" under=${`${rate(r.changes_per_second)} changes/s`} />
      <${Figure} name="Deliveries" value=${rate(r.deliveries_per_second)} unit="/s" under=${`${rate(r.failures_per_second)} failures/s`} />
      <${Figure} name="Latency, p50" ...${split(seconds(lat.p50))} under=${`p99 ${seconds(lat.p99)}`} />
      <${Figure} name="Waiting" value=${count(due.due)} under=${due.oldest_due_at ? html`oldest <${When} at=${due.oldest_due_at} now=${now} />` : 'nothing to be sent later'} />
      <${Figure} name="Failing targets" value=${count(s.subscriptions?.failing)} under=${html`<a href=${root + '/subscriptions?failing=true'}>of ${many(s.subscriptions?.active ?? 0, 'active one')}</a>`} />
      <${Figure} name="Dead letters" value=${count(s.dead_letters?.open)} under=${html`<a href=${root + '/dead-letters?state=open'}>open</a>`} />
      <${Figure} name="WAL kept" ...${split(bytes(s.slot?.retained_bytes))} under=${s.slot?.safe_wal_bytes === null || s.slot?.safe_wal_bytes === undefined ? 'without a limit' : `${bytes(s.slot.safe_wal_bytes)} left`} />
    </dl><p class="hint">Rates and latency are of the last minute; the charts have a value for each ${step} seconds.</p></section>
    <section aria-label="The last 15 minutes"><div class="charts">
      <${Chart} title="Deliveries" lines=${[{ name: 'delivered', colour: 'accent', fill: true }, { name: 'failed', colour: 'bad', dash: [3, 3] }]} data=${[times, perSecond('delivered'), perSecond('failed')]} show=${(n) => rate(n) + '/s'} />
      <${Chart} title="Latency" lines=${[{ name: 'p50', colour: 'accent' }, { name: 'p99', colour: 'muted', dash: [6, 4] }]} data=${[times, column('p50'), column('p99')]} show=${seconds} />
      <${Chart} title="Lag" lines=${[{ name: 'behind', colour: 'accent', fill: true }]} data=${[times, column('lag_bytes')]} show=${bytes} steps=${binary} />
    </div></section>
    ${s.failing?.length > 0 && html`<section><h2>Targets that take nothing</h2><${Table} label="Failing targets" rows=${s.failing} id=${(f) => f.id} columns=${[
      { name: 'Subscription', cell: (f) => html`<a href=${`${root}/subscriptions/${f.id}`}><bdi>${f.name || f.target_host}</bdi></a><span class="under"><bdi>${f.name ? f.target_host : ''}</bdi>${f.account ? ` account ${f.account}` : ''}</span>` },
      { name: 'Last error', wide: true, cell: (f) => html`<span class="clip">${f.status ? `HTTP ${f.status}${f.error && f.error !== 'http_status' ? `: ${f.error}` : ''}` : f.error || '–'}</span>` },
      { name: 'Since', cell: (f) => html`<${When} at=${f.since} now=${now} />` },
      { name: 'Waiting', num: true, cell: (f) => count(f.waiting) },
      { name: 'Next attempt', cell: (f) => html`<${Next} at=${f.next_attempt_at} now=${now} hold=${s.state === 'paused' ? { words: 'when sending is resumed' } : { words: 'due', slow: true }} none="–" />` },
    ]} /></section>`}
    ${s.jobs?.length > 0 && html`<section><h2>Jobs</h2><${JobTable} jobs=${s.jobs} named=${true} now=${now} /></section>`}`;
}
