// One subscription: whether its hooks arrive, what waits and why, and what can be done about it.
import { html, useEffect, useRef, useState } from '../../site/vendor/htm@3.1.1/standalone.module.js';
import { base, call, get, part, post } from '../api.js';
import { count, host, many, millis, percent, seconds, stamp } from '../format.js';
import { mendOf, wordsOf } from '../reasons.js';
import { refine, root } from '../router.js';
import { Button, Check, Code, Confirm, Dialog, Empty, Facts, Failure, For, Head, Id, Input, Json, Loading, Pager, Select, State, Table, When, say, useLoad, useNow, useTitle } from '../ui.js';
import { Next, Paused, holdOf, usePause } from './held.js';
import { JobTable, ended } from './jobs.js';
import { Finding } from './overview.js';
import { DeleteSubscription, Secret, stateOf } from './subscriptions.js';

export function Subscription({ id, tab, at, session, writable, admin }) {
  const now = useNow();
  const url = `/subscription/${part(id)}/`;
  const { data: s, error, reload, put } = useLoad(async (signal) => (await get(url, null, signal)).data, [id], { every: 5000 });
  const stats = useLoad(async (signal) => (await get(url + 'stats', null, signal)).data, [id], { every: 5000 });
  const pause = usePause(admin);
  // What is slow is measured where it is sent: only the status knows it.
  const status = useLoad(async (signal) => (admin && session.features.includes('status') ? (await get('/status', null, signal)).data : null), [], { every: 5000 });
  const slow = status.data?.findings.find((f) => f.code === 'target_slow' && f.what.includes(id));
  const [asks, ask] = useState('');
  const [secret, show] = useState('');
  useTitle(s ? s.name || host(s.target_url) : 'Subscription');
  if (!s) {
    return error?.status === 404
      ? html`<${Head} title="No such subscription" /><${Empty} title="It is not there"><p>It was deleted, or belongs to another account. A target that answers HTTP 410 deletes its subscription: the overview names it. <a href=${root + '/subscriptions'}>All subscriptions</a></p><//>`
      : html`<${Head} title="Subscription" />${error ? html`<${Failure} error=${error} again=${reload} />` : html`<${Loading} />`}`;
  }
  const to = `${root}/subscriptions/${id}`;
  const enable = async () => {
    put((await post(url + 'enable')).data);
    say('It is enabled: what commits from now on is sent, and what was kept for it.');
    stats.reload();
  };
  const ping = async () => {
    const p = (await post(url + 'ping')).data;
    if (p.delivered) say(`The target took the ping: HTTP ${p.status}, ${millis(p.duration_ms)}.`);
    else say(`The target did not take the ping: ${p.status ? `HTTP ${p.status}` : ''} ${p.reason || ''}${p.detail ? `: ${p.detail}` : ''}`, true);
  };
  const off = s.state === 'disabled' || s.state === 'expired';
  const feed = isFeed(s);
  const hold = holdOf(s, stats.data, pause, now);
  // To a feed nothing is sent, so nothing waits, and nothing can be sent again.
  const tabs = feed ? [['', 'Events'], ['settings', 'Settings']] : [['', 'Deliveries'], ['waiting', 'Waiting'], ['again', 'Send again'], ['settings', 'Settings']];
  return html`
    <${Head} title=${html`<bdi class="clip">${s.name || host(s.target_url)}</bdi>`} crumbs=${html`<a href=${root + '/subscriptions'}>Subscriptions</a>`}
      sub=${html`<${State} of=${stateOf(s)} /><${Id}>${s.id}<//><span>${s.account === null ? 'all accounts' : html`account <bdi>${s.account}</bdi>`}</span><span>${s.events.slice(0, 6).map((e) => html`<code>${e}</code> `)}${s.events.length > 6 ? `and ${s.events.length - 6} more` : ''}</span>`}>
      ${writable && html`
        ${s.target_url && html`<${Button} act=${ping}>Ping<//>`}
        ${off || s.state === 'pending' ? html`<${Button} act=${enable} kind="primary">${s.state === 'pending' ? 'Ask again' : 'Enable'}<//>` : ''}
        ${!off && html`<button type="button" onClick=${() => ask('disable')}>Disable…</button>`}
        <button type="button" onClick=${() => ask('rotate')}>Rotate secret…</button>
        <a class="button plain" href=${to + '/edit'}>Edit</a>
        <button type="button" class="danger" onClick=${() => ask('delete')}>Delete…</button>`}
    <//>
    ${error && html`<${Failure} error=${error} />`}
    ${!feed && html`<${Paused} pause=${pause} now=${now} />`}
    <${Trouble} s=${s} stats=${stats.data} now=${now} />
    ${slow && html`<ul><${Finding} level=${slow.severity} code=${slow.code} what=${slow.what} so=${slow.so} mend=${slow.mend} since=${slow.since} /></ul>`}
    <${Numbers} stats=${stats} now=${now} feed=${feed} />
    <nav class="tabs" aria-label="Of this subscription">${tabs.map(([t, word]) => html`<a href=${to + (t && '/' + t)} aria-current=${t === tab ? 'page' : undefined}>${word}${t === 'waiting' && stats.data?.waiting?.count ? ` (${count(stats.data.waiting.count)}${stats.data.waiting.at_least ? '+' : ''})` : ''}</a>`)}</nav>
    ${tab === '' && html`<${Tail} id=${id} at=${at} now=${now} s=${s} hold=${hold} />`}
    ${feed && ['waiting', 'again'].includes(tab) && html`<${Empty} title="It is a feed"><p>Events are kept in it to be read, and sent to nobody: none waits, and none can be sent again. Give it a target by <a href=${to + '/edit'}>editing it</a>, then a replay sends what was kept.</p><//>`}
    ${tab === 'waiting' && !feed && html`<${Waiting} id=${id} at=${at} now=${now} hold=${hold} />`}
    ${tab === 'again' && !feed && html`<${Again} s=${s} writable=${writable} now=${now} />`}
    ${tab === 'settings' && html`<${Settings} s=${s} />`}
    ${asks === 'delete' && html`<${DeleteSubscription} s=${s} close=${() => ask('')} />`}
    ${asks === 'disable' && html`<${Disable} url=${url} close=${() => ask('')} done=${put} />`}
    ${asks === 'rotate' && html`<${Rotate} url=${url} close=${() => ask('')} done=${(x) => show(x.secret)} />`}
    ${secret && html`<${Secret} secret=${secret} close=${() => show('')}><p>Give it to the receiver: it is not shown again. The old one signs beside it as long as you chose.</p><//>`}`;
}

/** Without a target: what it matches is kept, to be read. */
const isFeed = (s) => s.target_url === null;

/** What is wrong with it, in a sentence and with the next step. */
function Trouble({ s, stats, now }) {
  const said = [];
  const d = s.disabled_reason;
  const last = s.last_failure || stats?.last_error;
  if (d && (s.state === 'disabled' || s.state === 'expired')) {
    said.push(html`<div class="callout warn-box"><p><strong>${s.state === 'expired' ? 'It is over' : 'Nothing is sent'}</strong>, <${For} since=${d.since} now=${now} /> now: ${{ rowhook: 'disabled by rowhook', admin: 'disabled by an admin', account: 'disabled by its owner', lease: 'its lease has ended', import: 'imported so' }[d.by] || d.by}${d.reason ? html`: <bdi>${d.reason}</bdi>` : ''}.</p>
      ${d.last_answer && html`<p>How its target answered last: ${wordsOf(d.last_answer.reason, d.last_answer.status)}. ${mendOf(d.last_answer.reason, d.last_answer.status)}</p>`}
      ${d.missed && html`<p>${many(d.missed.count, 'event')} became older than the retention, and cannot be sent any more.</p>`}
      ${s.state === 'disabled' && html`<p>${d.by === 'rowhook' ? 'Mend the target, ping it, then enable: what was kept meanwhile is sent.' : 'Enable it to go on; what commits while it is disabled is not for it.'}</p>`}</div>`);
  }
  if (s.failing_since && s.state === 'active') {
    const waits = stats?.waiting;
    const next = waits?.next_attempt_at && Date.parse(waits.next_attempt_at) > now ? waits.next_attempt_at : null;
    said.push(html`<div class="callout bad-box"><p><strong>Its target has taken nothing</strong> <${For} since=${s.failing_since} now=${now} />${last ? html`: ${wordsOf(last.reason, last.status)} (<code>${last.reason}</code>)` : ''}.</p>
      ${last && html`<p>${mendOf(last.reason, last.status)}</p>`}
      <p>Nothing is lost: it is tried again by itself${next ? html`, next <${When} at=${next} now=${now} />` : ''}, and when it is well again, all is sent. If it takes nothing for days, five unless the config says otherwise, the subscription is disabled. A ping tries it now.</p></div>`);
  }
  if (stats?.paused_until) said.push(html`<div class="callout"><p><strong>The target has asked to be left alone</strong> until ${stamp(stats.paused_until)} (${html`<${When} at=${stats.paused_until} now=${now} />`}), by Retry-After.</p></div>`);
  if (s.filter_error) said.push(html`<div class="callout warn-box"><p><strong>Its filter fails</strong> on ${many(s.filter_error.count, 'event')}, which were not sent. The last one: <code>${s.filter_error.event_type}</code>, <${When} at=${s.filter_error.at} now=${now} />.</p><p><code>${s.filter_error.message}</code></p></div>`);
  if (s.verification_status && s.state === 'pending') {
    const v = s.verification_status;
    said.push(html`<div class="callout"><p><strong>Its target has not agreed yet.</strong> ${many(v.attempts, 'attempt')}${v.last_error ? html`, the last one: <code>${v.last_error}</code>` : ''}. ${v.next_attempt ? html`It is asked again <${When} at=${v.next_attempt} now=${now} />.` : ''}</p></div>`);
  }
  return said;
}

function Numbers({ stats, now, feed }) {
  const d = stats.data;
  if (!d) return stats.error ? html`<${Failure} error=${stats.error} again=${stats.reload} />` : html`<dl class="ledger" aria-busy="true">${['Last hour', 'Last 24 hours', 'Failed, 24 h', 'Waiting', 'Backlog'].map((n) => html`<div><dt>${n}</dt><dd>…</dd><span class="under"> </span></div>`)}</dl>`;
  const partly = (w) => (w.complete ? '' : ` since ${stamp(w.counted_since).slice(11)}`);
  const w = d.waiting;
  // What is still tried is no part of the rate.
  const ended = (of) => (of.delivered + of.failed === 0 && w.count ? 'none has ended' : many(of.delivered, 'delivery', 'deliveries'));
  if (feed) {
    return html`<dl class="ledger">${[['Events, last hour', d.hour], ['Events, 24 hours', d.day]].map(([name, n]) => html`<div><dt>${name}</dt><dd>${count(n.dropped)}</dd><span class="under">kept to be read${partly(n)}</span></div>`)}</dl>`;
  }
  return html`<dl class="ledger">
    <div><dt>Arrived, last hour</dt><dd>${percent(d.hour.success_rate)}</dd><span class="under">${ended(d.hour)}${partly(d.hour)}</span></div>
    <div><dt>Arrived, 24 hours</dt><dd>${percent(d.day.success_rate)}</dd><span class="under">${ended(d.day)}${partly(d.day)}</span></div>
    <div><dt>Failed, 24 hours</dt><dd>${count(d.day.failed)}</dd><span class="under">${d.day.dropped ? `${count(d.day.dropped)} dropped` : 'for good'}</span></div>
    <div><dt>Waiting</dt><dd>${count(w.count)}${w.at_least ? '+' : ''}</dd><span class="under">${w.count ? `of ${many(w.keys, 'instance')}${w.keys_at_least ? ' at least' : ''}` : 'nothing'}</span></div>
    <div><dt>Oldest that waits</dt><dd>${w.oldest_age_seconds === null ? '–' : seconds(w.oldest_age_seconds)}</dd><span class="under">${w.next_attempt_at && Date.parse(w.next_attempt_at) > now ? html`next attempt <${When} at=${w.next_attempt_at} now=${now} />` : ' '}</span></div>
  </dl>`;
}

/** An event of a feed: the API calls it dropped, as it is sent to nobody, and nothing of it is lost. */
export const kept = (d) => d.status === 'dropped' && d.dropped_reason === 'feed';

/** The state of a delivery, as it is shown. */
export const Stands = ({ d }) => (kept(d) ? html`<${State} of="done" word="in the feed" />` : html`<${State} of=${d.status === 'pending' && d.retry_reason ? 'retrying' : d.status} />`);

/** How a delivery stands, in few words. */
export function result(d) {
  if (d.status === 'pending') return d.retry_reason ? d.retry_reason : d.next_attempt ? 'first attempt' : 'waits for an earlier event of its instance';
  if (kept(d)) return 'to be read';
  if (d.status === 'dropped') return d.dropped_reason || 'not wanted by the target';
  return d.http_status ? `HTTP ${d.http_status}` : d.status === 'failed' ? 'no answer' : '';
}

/** Lines of deliveries, as they are listed in several places. */
export function DeliveryTable({ rows, now, fresh, subscription, hold, feed }) {
  return html`<${Table} label="Deliveries" rows=${rows} id=${(d) => d.id} flash=${fresh} columns=${[
    { name: 'Event', wide: true, cell: (d) => html`<a href=${`${root}/deliveries/${d.id}`}>${d.event.type}</a>
      <span class="under"><bdi>${d.event.instance ? `${d.event.resource} ${d.event.instance}` : d.event.resource}</bdi></span>` },
    subscription && { name: 'Subscription', cell: (d) => html`<a href=${`${root}/subscriptions/${d.subscription}`}><code>${d.subscription}</code></a>` },
    { name: 'State', cell: (d) => html`<${Stands} d=${d} />${d.replay ? html`<span class="under">again</span>` : ''}${d.fallback ? html`<span class="under">fallback</span>` : ''}` },
    { name: 'Result', cell: (d) => html`${result(d)}${d.status === 'pending' && d.next_attempt ? html`<span class="under"><${Next} at=${d.next_attempt} now=${now} hold=${hold} /></span>` : ''}` },
    !feed && { name: 'Attempts', num: true, cell: (d) => count(d.attempt_count) },
    !feed && { name: 'Took', num: true, cell: (d) => millis(d.duration_ms) },
    { name: 'Committed', num: true, cell: (d) => html`<${When} at=${d.event.timestamp} now=${now} />` },
  ].filter(Boolean)} />`;
}

/** The last deliveries, as they come. */
function Tail({ id, at, now, s, hold }) {
  const feed = isFeed(s);
  const q = at.query;
  const after = q.get('after');
  const [still, stop] = useState(false);
  const url = `/subscription/${part(id)}/delivery/`;
  const filter = { status: q.get('status'), event: q.get('event'), resource_id: q.get('resource_id') };
  const { data, error, loading, reload } = useLoad(async (signal) => call('GET', url, { query: { limit: 50, after, ...filter }, signal }), [q.toString(), still], { every: after || still ? 0 : 2000 });
  const seen = useRef(new Set());
  const first = useRef(true);
  const rows = data?.data || [];
  const fresh = (d) => !first.current && !seen.current.has(d.id);
  useEffect(() => {
    if (!data) return;
    first.current = false;
    rows.forEach((d) => seen.current.add(d.id));
  }, [data]);
  useEffect(() => {
    first.current = true;
    seen.current.clear();
  }, [q.toString()]);
  const next = data?.next && new URL(data.next, location.origin).searchParams.get('after');
  const filtered = Object.values(filter).some(Boolean);
  return html`
    ${!after && !filtered && html`<${Timeline} id=${id} feed=${feed} />`}
    <div class="bar">
      ${!feed && html`<select aria-label="Status" value=${q.get('status') || ''} onChange=${(e) => refine({ status: e.target.value, after: '' })}>${[['', 'All'], ['pending', 'Pending'], ['delivered', 'Delivered'], ['failed', 'Failed'], ['dropped', 'Dropped']].map(([v, w]) => html`<option value=${v} selected=${v === (q.get('status') || '')}>${w}</option>`)}</select>`}
      <input type="text" aria-label="Event" placeholder="contact.update" value=${q.get('event') || ''} onChange=${(e) => refine({ event: e.target.value.trim(), after: '' })} />
      <input type="text" data-search aria-label="Instance" placeholder="Instance: 42" value=${q.get('resource_id') || ''} onChange=${(e) => refine({ resource_id: e.target.value.trim(), after: '' })} />
      ${!after && html`<button type="button" class="push" aria-pressed=${still ? 'true' : 'false'} onClick=${() => stop(!still)}>${still ? 'Go on' : 'Hold still'}</button>`}
    </div>
    <${Failure} error=${error} again=${reload} />
    ${!data && loading && html`<${Loading} />`}
    ${data && rows.length === 0 && (next ? html`<p class="muted">None of those looked at fits. There are older ones.</p>` : filtered
      ? html`<${Empty} title="None fits"><p>Nothing like that was sent within the retention.</p><p><button type="button" onClick=${() => refine({ status: '', event: '', resource_id: '', after: '' })}>Show all</button></p><//>`
      : html`<${Empty} title=${feed ? 'Nothing is in it yet' : 'Nothing was sent yet'}><p>An event comes here when a row of <code>${s.events.join(', ')}</code> is changed and committed${s.filter ? ', and the filter lets it through' : ''}. This page shows it by itself.${feed ? '' : ' See that the target is there:'}</p>
        ${!feed && html`<${Code} label="The command" text=${`rowhook subscription ping ${s.id}`} />`}<//>`)}
    ${rows.length > 0 && html`<${DeliveryTable} rows=${rows} now=${now} fresh=${fresh} hold=${hold} feed=${feed} />`}
    ${feed && html`<p class="hint">It is read over the API, page by page or as a stream:</p><${Code} label="The request" text=${`curl -H "Authorization: Bearer $ROWHOOK_TOKEN" '${location.origin}${base}/subscription/${s.id}/event/?after=oldest'`} />`}
    <${Pager} next=${next} newest=${after} onNext=${() => refine({ after: next }, { push: true })} onNewest=${() => refine({ after: '' }, { push: true })} />`;
}

/** The last deliveries as bars over time, and what those that did not arrive ended by. */
function Timeline({ id, feed }) {
  const { data } = useLoad(async (signal) => (await get(`/subscription/${part(id)}/delivery/`, { limit: 500 }, signal)).data, [id], { every: 15_000 });
  if (!data || data.length < 2) return html`<div class="bars" aria-hidden="true"></div>`;
  const times = data.map((d) => Date.parse(d.event.timestamp));
  const to = Math.max(...times) + 1;
  // Few that came at once are not spread over the whole width.
  const from = data.length < 500 ? Math.min(...times, to - 60_000) : Math.min(...times);
  const bars = Array.from({ length: 60 }, () => ({ good: 0, bad: 0, calm: 0 }));
  const reasons = new Map();
  data.forEach((d, i) => {
    const bad = d.status === 'failed' || (d.status === 'pending' && d.retry_reason);
    bars[Math.floor(((times[i] - from) / (to - from)) * 60)][bad ? 'bad' : d.status === 'delivered' ? 'good' : 'calm']++;
    if (bad) reasons.set(result(d), (reasons.get(result(d)) || 0) + 1);
  });
  const top = Math.max(...bars.map((b) => b.good + b.bad + b.calm));
  const bad = [...reasons.values()].reduce((a, b) => a + b, 0);
  return html`<figure>
    <svg class="bars" viewBox="0 0 600 64" preserveAspectRatio="none" role="img" aria-label=${`The last ${data.length} deliveries, from ${stamp(times.at(-1))} to ${stamp(times[0])}: ${bad} did not arrive`}>
      ${bars.flatMap((b, i) => {
        let y = 64;
        return ['good', 'calm', 'bad'].map((kind) => {
          if (!b[kind]) return null;
          const h = Math.max((b[kind] / top) * 60, 1.5);
          y -= h;
          return html`<rect class=${'b-' + kind} x=${i * 10 + 1} y=${y} width="8" height=${h} />`;
        });
      })}</svg>
    <figcaption class="sub"><span>The last ${feed ? many(data.length, 'event') : many(data.length, 'delivery', 'deliveries')}, ${seconds((to - from) / 1000)}.</span>
      ${bad > 0 && html`<span>Did not arrive: ${[...reasons].sort((a, b) => b[1] - a[1]).slice(0, 5).map(([r, n], i) => html`${i ? ', ' : ''}<strong>${count(n)}</strong> ${r}`)}.</span>`}</figcaption>
  </figure><br />`;
}

/** What is still to be sent, by instance: the first of each waits for its next attempt, and the later ones behind it. */
function Waiting({ id, at, now, hold }) {
  const after = at.query.get('after');
  const { data, error, loading, reload } = useLoad(async (signal) => call('GET', `/subscription/${part(id)}/held/`, { query: { limit: 50, after }, signal }), [id, after], { every: 3000 });
  const rows = data?.data || [];
  const next = data?.next && new URL(data.next, location.origin).searchParams.get('after');
  return html`<${Failure} error=${error} again=${reload} />
    ${!data && loading && html`<${Loading} />`}
    ${data && rows.length === 0 && (next ? html`<p class="muted">None of those looked at waits. There are more.</p>` : html`<${Empty} title="Nothing waits"><p>What was not taken at once waits here, by instance, until it is sent: later events of an instance wait behind the earlier ones.</p><//>`)}
    ${rows.length > 0 && html`<${Table} label="Instances that wait" rows=${rows} id=${(k) => k.oldest.id} columns=${[
      { name: 'Instance', cell: (k) => html`<a href=${`${root}/deliveries/${k.oldest.id}`}><bdi>${k.resource} ${k.resource_id ?? ''}</bdi></a>` },
      { name: 'Oldest', wide: true, cell: (k) => html`${k.oldest.event.type}, <${When} at=${k.oldest.event.timestamp} now=${now} /><span class="under">${k.oldest.retry_reason || ''}</span>` },
      { name: 'Waiting', num: true, cell: (k) => count(k.waiting) + (k.at_least ? '+' : '') },
      { name: 'Attempts', num: true, cell: (k) => count(k.oldest.attempt_count) },
      { name: 'Next attempt', num: true, cell: (k) => html`<${Next} at=${k.next_attempt} now=${now} hold=${hold} />` },
    ]} />`}
    <${Pager} next=${next} newest=${after} older="More" newestWord="First" onNext=${() => refine({ after: next }, { push: true })} onNewest=${() => refine({ after: '' }, { push: true })} />`;
}

/** Sending what was, or what is there. */
function Again({ s, writable, now }) {
  const url = `/subscription/${part(s.id)}/`;
  const [what, set] = useState('');
  const jobs = useLoad(async (signal) => (await get(url + 'job/', { limit: 20 }, signal)).data, [s.id], { every: 1500 });
  const can = writable && !['disabled', 'expired', 'pending', 'shadow'].includes(s.state);
  const rows = jobs.data || [];
  return html`
    ${writable && !can && html`<p class="callout">While it is ${s.state === 'shadow' ? 'a shadow' : s.state}, nothing can be sent again.</p>`}
    ${can && html`<div class="actions">
      ${s.target_url && html`<button type="button" onClick=${() => set('replay')}>Replay events…</button>`}
      <button type="button" onClick=${() => set('backfill')}>Backfill rows…</button></div>`}
    <${Failure} error=${jobs.error} again=${jobs.reload} />
    ${!jobs.data && jobs.loading && html`<${Loading} />`}
    ${jobs.data && rows.length === 0 && html`<br /><${Empty} title="Nothing was sent again yet">
      <p>A <strong>replay</strong> sends events of the past again, such as those that failed. A <strong>backfill</strong> sends the rows that are there, as they are now. From a shell:</p>
      <${Code} label="The commands" text=${`rowhook subscription replay ${s.id} --from 2h --dry-run\nrowhook subscription backfill ${s.id} --dry-run`} /><//>`}
    ${rows.length > 0 && html`<section><h2>Jobs</h2><div aria-live="polite" class="off">${rows.filter((j) => !ended(j)).length ? '' : 'All jobs have ended.'}</div><${JobTable} jobs=${rows} writable=${writable} again=${jobs.reload} now=${now} /></section>`}
    ${what === 'replay' && html`<${Replay} url=${url} close=${() => set('')} done=${jobs.reload} />`}
    ${what === 'backfill' && html`<${Backfill} s=${s} url=${url} close=${() => set('')} done=${jobs.reload} />`}`;
}

/** A form that counts before it does. */
function Counted({ title, word, children, body, act, close, words }) {
  const [counted, set] = useState(null);
  const [error, fail] = useState(null);
  const [busy, setBusy] = useState(false);
  const said = JSON.stringify(body());
  const run = (dry) => async (e) => {
    e?.preventDefault();
    if (busy) return;
    setBusy(true);
    fail(null);
    try {
      if (dry) set({ said, answer: await act({ ...body(), dry_run: true }) });
      else {
        await act(body());
        close();
        return;
      }
    } catch (x) {
      fail(x);
    }
    setBusy(false);
  };
  const fits = counted?.said === said;
  return html`<${Dialog} title=${title} close=${close}><form onSubmit=${run(!fits)}>
    ${children(error)}
    <${Failure} error=${error} />
    <div role="status" aria-live="polite">${fits && words(counted.answer)}</div>
    <div class="actions"><button type="submit" class="primary" aria-disabled=${busy ? 'true' : undefined}>${fits ? word : 'Count first'}</button>
      <button type="button" onClick=${close}>Cancel</button></div>
  </form><//>`;
}

const hours = { '1h': 1, '6h': 6, '24h': 24, '7d': 168 };
function Replay({ url, close, done }) {
  const [from, setFrom] = useState('24h');
  const [since, setSince] = useState('');
  const [until, setUntil] = useState('');
  const [state, setState] = useState('failed');
  const [events, setEvents] = useState('');
  const [instance, setInstance] = useState('');
  const [rate, setRate] = useState('');
  const opened = useRef(Date.now());
  const body = () => {
    const b = { state };
    if (from === 'choose') {
      if (since) b.from = new Date(since).toISOString();
      if (until) b.to = new Date(until).toISOString();
    } else b.from = new Date(opened.current - hours[from] * 3_600_000).toISOString();
    if (events.trim()) b.events = events.split(/[,\s]+/).filter(Boolean);
    if (instance.trim()) b.resource_id = instance.trim();
    if (rate.trim()) b.rate = Number(rate) || rate;
    return b;
  };
  const act = async (b) => {
    const { data } = await post(url + 'replay', b);
    if (!b.dry_run) {
      say('The replay is queued.');
      await done();
    }
    return data;
  };
  return html`<${Counted} title="Send events again" word="Replay" body=${body} act=${act} close=${close}
    words=${(n) => html`<p><strong>${many(n.total, 'event')}${n.at_least ? ' at least' : ''}</strong> would be sent again.</p>`}>${() => html`
    <${Select} label="What became of them" value=${state} set=${setState} options=${[['failed', 'failed for good'], ['missed', 'failed or dropped'], ['delivered', 'delivered'], ['dropped', 'dropped'], ['all', 'whatever it was']]} />
    <${Select} label="Committed" value=${from} set=${setFrom} options=${[['1h', 'in the last hour'], ['6h', 'in the last 6 hours'], ['24h', 'in the last 24 hours'], ['7d', 'in the last 7 days'], ['choose', 'between two times']]} />
    ${from === 'choose' && html`<${Input} type="datetime-local" label="From" value=${since} set=${setSince} /><${Input} type="datetime-local" label="To" value=${until} set=${setUntil} hint="Empty: now." />`}
    <${Input} label="Only these events" value=${events} set=${setEvents} placeholder="contact.update, deal.*" />
    <${Input} label="Only this instance" value=${instance} set=${setInstance} placeholder="42" />
    <${Input} label="At most so many in a second" value=${rate} set=${setRate} hint="Empty: as fast as the target takes them." />`}<//>`;
}

function Backfill({ s, url, close, done }) {
  const [chosen, choose] = useState([]);
  const [since, setSince] = useState('');
  const [rate, setRate] = useState('');
  const { data: types } = useLoad(async () => (await get('/event-type/')).data, []);
  const fits = (r) => s.events.some((e) => e === '*' || e.startsWith(r + '.'));
  const resources = [...new Set((types || []).map((t) => t.resource))].filter((r) => r && !/^rowhook\b/.test(r) && fits(r));
  const body = () => {
    const b = {};
    if (chosen.length) b.resources = chosen;
    if (since) b.since = new Date(since).toISOString();
    if (rate.trim()) b.rate = Number(rate) || rate;
    return b;
  };
  const act = async (b) => {
    const { data } = await post(url + 'backfill', b);
    if (!b.dry_run) {
      say('The backfill is queued.');
      await done();
    }
    return data;
  };
  return html`<${Counted} title="Send the rows that are there" word="Backfill" body=${body} act=${act} close=${close}
    words=${(n) => html`<p><strong>${n.total === null ? 'An unknown number of rows' : `${n.estimated ? 'About ' : ''}${many(n.total, 'row')}`}</strong> would be looked at: ${n.resources.map((r) => `${r.resource} ${count(r.total)}`).join(', ')}.</p>`}>${() => html`
    <fieldset class="fieldset"><legend>Resources</legend>${resources.map((r) => html`<${Check} key=${r} label=${r} value=${chosen.includes(r)} set=${(on) => choose(on ? [...chosen, r] : chosen.filter((x) => x !== r))} />`)}<p class="hint">None chosen: all of the subscription.</p></fieldset>
    <${Input} type="datetime-local" label="Changed since" value=${since} set=${setSince} hint="Empty: all rows." />
    <${Input} label="At most so many in a second" value=${rate} set=${setRate} hint="Empty: as fast as the target takes them." />`}<//>`;
}

function Disable({ url, close, done }) {
  const [reason, set] = useState('');
  return html`<${Confirm} title="Disable this subscription" word="Disable" close=${close} act=${async () => {
    done((await post(url + 'disable', reason.trim() ? { reason: reason.trim() } : {})).data);
    say('It is disabled: events that commit meanwhile are not for it.');
  }}><p>Events that commit while it is disabled are not for it. What is on its way waits until it is enabled, as long as the retention.</p>
    <${Input} label="Reason, for people" value=${reason} set=${set} /><//>`;
}

function Rotate({ url, close, done }) {
  const [keep, set] = useState('24h');
  return html`<${Confirm} title="Rotate the secret" word="Rotate" close=${close} act=${async () => done((await post(url + 'rotate-secret', { keep_old: keep })).data)}>
    <p>A new secret signs from now on. The old one signs beside it for a while, so that the receiver can be changed without losing a hook.</p>
    <${Select} label="Keep the old one for" value=${keep} set=${set} options=${[['24h', '24 hours'], ['1h', 'an hour'], ['168h', '7 days'], ['0s', 'not at all: it has leaked']]} /><//>`;
}

function Settings({ s }) {
  return html`<${Facts} of=${[
    ['Target', s.target_url === null ? 'none: a feed' : html`<bdi class="clip" title=${s.target_url}>${s.target_url}</bdi>`, true], ['Events', s.events.join(', ')], ['Filter', s.filter ? html`<code>${s.filter}</code>` : 'none'], ['Instance', s.resource_id || 'all'],
    ['Ignored sources', s.ignore_sources?.join(', ') || 'none'], ['Ends', s.expires_at ? stamp(s.expires_at) : 'never'], ['Verification', s.verification], ['Made', stamp(s.created_at)], ['Changed', stamp(s.updated_at)],
    ['Description', s.description ? html`<bdi>${s.description}</bdi>` : undefined, true],
  ]} /><section><h2>As the API has it</h2><${Json} value=${s} label="The subscription" /></section>`;
}
