// One delivery: what was sent, what was answered, how long each part took, and what to do.
import { html } from '../../site/vendor/htm@3.1.1/standalone.module.js';
import { get, part, post } from '../api.js';
import { bytes, called, clock, many, millis, stamp } from '../format.js';
import { mendOf, wordsOf } from '../reasons.js';
import { root } from '../router.js';
import { Button, Code, Copy, Empty, Facts, Failure, Head, Id, Json, Loading, State, When, say, useLoad, useNow, useTitle } from '../ui.js';
import { Next, Paused, holdOf, usePause } from './held.js';
import { Stands, kept, result } from './subscription.js';

const quote = (text) => `'${String(text).replaceAll("'", `'\\''`)}'`;

/** The request as a command. What is secret is not known here, and stands as a variable to be filled in. */
export function curl(request, attempt) {
  const headers = { ...request.headers, ...(attempt?.headers || {}) };
  const lines = [`curl -sS -X ${request.method} ${quote(request.url)}`];
  const lack = [];
  for (const [name, value] of Object.entries(headers)) {
    if (value.includes('***')) {
      lack.push(name);
      continue;
    }
    if (name === 'content-length' || name === 'host') continue;
    lines.push(`-H ${quote(`${name}: ${value}`)}`);
  }
  if (request.method !== 'GET') lines.push(`--data-binary ${quote(request.body)}`);
  return (lack.length ? `# left out, as they are secret: ${lack.join(', ')}\n` : '') + (request.truncated ? '# the body is cut off: only its beginning is kept here\n' : '') + lines.join(' \\\n  ');
}

/** What each part of an attempt took, one under the other on one scale. */
function Waterfall({ timings }) {
  const total = timings.total_ms || 0;
  if (!total) return null;
  // DNS, connecting and TLS are lengths; the first byte and the total count from the beginning.
  const bars = [];
  let at = 0;
  for (const [name, key] of [['DNS', 'dns_ms'], ['Connect', 'connect_ms'], ['TLS', 'tls_ms']]) {
    if (timings[key] === undefined || timings[key] === null) continue;
    bars.push([name, at, timings[key]]);
    at += timings[key];
  }
  const first = timings.first_byte_ms;
  if (first !== undefined && first !== null) {
    bars.push(['Waiting', at, Math.max(first - at, 0), 'wait']);
    bars.push(['Reading', first, Math.max(total - first, 0)]);
  } else bars.push(['Without answer', at, Math.max(total - at, 0), 'wait']);
  const reused = timings.connect_ms === undefined || timings.connect_ms === null;
  return html`<div class="waterfall" role="group" aria-label=${`It took ${millis(total)}`}>${bars.map(([name, from, long, kind]) => html`<div class=${kind || ''}><span>${name}</span>
    <svg viewBox="0 0 1000 12" preserveAspectRatio="none" aria-hidden="true"><rect x=${Math.min((from / total) * 1000, 996)} y="0" width=${Math.max((long / total) * 1000, 4)} height="12" rx="2" /></svg>
    <span class="num">${millis(long)}</span></div>`)}
    ${reused && html`<p class="hint">The connection was kept from an earlier attempt.</p>`}</div>`;
}

const Headers = ({ of }) => html`<${Code} label="Headers" text=${Object.entries(of).map(([k, v]) => `${k}: ${v}`).join('\n')} />`;

export function Delivery({ id, writable, admin, session }) {
  const now = useNow();
  const { data: d, error, reload } = useLoad(async (signal) => (await get(`/delivery/${part(id)}/`, null, signal)).data, [id], { every: 3000 });
  const pause = usePause(admin);
  // Whose it is, and why one that is due is not sent yet, its subscription tells. It may be gone.
  const whose = d?.subscription;
  const waits = d?.status === 'pending';
  const { data: of } = useLoad(async (signal) => {
    if (!whose) return null;
    const at = `/subscription/${part(whose)}/`;
    const [s, stats] = await Promise.all([get(at, null, signal), waits ? get(at + 'stats', null, signal) : {}]);
    return { s: s.data, stats: stats.data };
  }, [whose, waits], { every: waits ? 5000 : 0 });
  useTitle(d ? `${d.event.type} ${d.event.instance}` : 'Delivery');
  if (!d) {
    return error?.status === 404
      ? html`<${Head} title="No such delivery" /><${Empty} title="It is not there"><p>It is older than the retention, or belongs to another account.</p><//>`
      : html`<${Head} title="Delivery" />${error ? html`<${Failure} error=${error} again=${reload} />` : html`<${Loading} />`}`;
  }
  const redeliver = async () => {
    await post(`/delivery/${part(id)}/redeliver`);
    say('It is sent again, with the same webhook-id.');
    await reload();
  };
  const attempts = [...(d.attempts || [])].reverse();
  const to = `${root}/subscriptions/${d.subscription}`;
  const events = session.features.includes('feed') && d.event.instance;
  return html`
    <${Head} title=${html`${d.event.type} <bdi>${d.event.instance}</bdi>`} crumbs=${html`<a href=${root + '/subscriptions'}>Subscriptions</a> / <a href=${to}>${of?.s ? html`<bdi>${called(of.s)}</bdi>` : html`<code>${d.subscription}</code>`}</a>`}
      sub=${html`<${Stands} d=${d} /><span>${result(d)}</span><span>${many(d.attempt_count, 'attempt')}</span>
        ${d.status === 'pending' && html`<span>${d.next_attempt ? html`next attempt: <${Next} at=${d.next_attempt} now=${now} hold=${holdOf(of?.s, of?.stats, pause, now)} />` : 'it is sent when the earlier event of its instance is'}</span>`}${d.replay && html`<span>sent again</span>`}${d.fallback && html`<span>by the fallback</span>`}`}>
      ${writable && d.status !== 'pending' && !kept(d) && html`<${Button} act=${redeliver} kind="primary">Redeliver<//>`}
      ${d.request && html`<${Copy} text=${() => curl(d.request, attempts[0])} label="Copy as curl" what="The command is copied, without what is secret" />`}
    <//>
    ${error && html`<${Failure} error=${error} />`}
    ${waits && html`<${Paused} pause=${pause} now=${now} />`}
    <${Facts} of=${[
      ['Committed', html`<time datetime=${d.event.timestamp}>${stamp(d.event.timestamp)}</time> (<${When} at=${d.event.timestamp} now=${now} />)`],
      ['Ended', d.finished_at ? stamp(d.finished_at) : undefined],
      ['webhook-id', html`<${Id}>${d.event.id}<//>`], ['Position', html`<${Id}>${d.event.position}<//>`],
      events ? ['What happened to it', html`<a href=${`${root}/events?resource=${encodeURIComponent(d.event.resource)}&resource_id=${encodeURIComponent(d.event.instance)}`}>all of <bdi>${d.event.resource} ${d.event.instance}</bdi></a>`] : null,
      ['Delivery', html`<${Id} short=${40}>${d.id}<//>`],
    ]} />
    <section><h2>Attempts</h2>
      ${attempts.length === 0 && html`<p class="muted">${d.status === 'dropped' ? kept(d) ? 'None: it is kept in the feed, to be read.' : `None: ${{ shadow: 'the subscription is a shadow', debounced: 'it was gathered into a later event' }[d.dropped_reason] || 'it was dropped'}.` : 'None has ended yet.'}</p>`}
      ${attempts.map((a) => html`<${Attempt} key=${a.number + a.started_at} a=${a} />`)}
    </section>
    ${d.request && html`<section><h2>Request</h2><p class="sub">As the subscription is now: its URL and headers may have been others then.</p><br />
      <div class="two"><div><${Code} label="Method and URL" text=${`${d.request.method} ${d.request.url}`} lines=${false} /><br /><${Headers} of=${d.request.headers} /></div>
      <div><${Json} text=${d.request.body} label="Body" />${d.request.truncated && html`<p class="hint">Its beginning: the whole has ${bytes(d.request.body_bytes)}.</p>`}</div></div></section>
    <section><h2>If the receiver says that the signature is wrong</h2>
      <p>Let it write down the request as it came: headers, an empty line, the body, byte for byte. This says which part is wrong, and what was done to it:</p><br />
      <${Code} label="The command" text=${`WEBHOOK_SECRET=whsec_… rowhook verify request.http`} /></section>`}`;
}

function Attempt({ a }) {
  const why = a.delivered ? '' : mendOf(a.reason, a.answer?.status);
  return html`<article class="attempt" aria-label=${`Attempt ${a.number}`}>
    <header><h3>Attempt ${a.number}${a.fallback ? ', at the fallback' : ''}</h3><${State} of=${a.delivered ? 'delivered' : a.counts ? 'failed' : 'waiting'} word=${a.delivered ? undefined : a.counts ? undefined : 'asked for time'} />
      <span>${a.answer ? `HTTP ${a.answer.status}` : a.reason || 'no answer'}</span><time datetime=${a.started_at} class="muted">${stamp(a.started_at).slice(0, 10)} ${clock(a.started_at)}</time><span class="muted">${millis(a.timings.total_ms)}</span></header>
    ${!a.delivered && html`<div class="callout"><p><strong>${wordsOf(a.reason, a.answer?.status)}</strong> <code>${a.reason}</code>${a.detail ? html`: <bdi>${a.detail}</bdi>` : ''}</p>${why && html`<p>${why}</p>`}</div>`}
    <${Waterfall} timings=${a.timings} />
    ${a.answer?.body && html`<div><p class="label">Answer</p><${Json} text=${a.answer.body} label="The body of the answer" /></div>`}
    ${Object.keys(a.headers || {}).length > 0 && html`<details><summary>Headers of this attempt</summary><br /><${Headers} of=${a.headers} /></details>`}
  </article>`;
}
