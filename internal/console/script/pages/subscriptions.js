// The subscriptions: found, filtered, one line each.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../../site/vendor/htm@3.1.1/standalone.module.js';
import { base, call, get, part, post } from '../api.js';
import { host, many, percent } from '../format.js';
import { go, refine, root } from '../router.js';
import { Code, Confirm, Empty, Failure, Head, Loading, Pager, Search, State, Table, When, say, useLoad, useNow, useSettled, useTitle } from '../ui.js';

/** What a subscription is to people: its state, or that it fails. */
export const stateOf = (s) => (s.failing_since && s.state === 'active' ? 'failing' : s.state);

/** The share of the last day that arrived: asked for when rows are seen, for all that are seen at once. */
const known = new Map();
let wanted = new Map();
function ask(id, tell) {
  const had = known.get(id);
  if (had && Date.now() - had.at < 30_000) return tell(had.day);
  if (wanted.size === 0) queueMicrotask(askAll);
  wanted.set(id, tell);
}
async function askAll() {
  const now = wanted;
  wanted = new Map();
  try {
    for (const one of (await get('/subscription/stats', { id: [...now.keys()].join(',') })).data) known.set(one.subscription, { at: Date.now(), day: one.day });
  } catch { /* there is nothing to show then, and the page itself says what is away */ }
  for (const [id, tell] of now) tell(known.get(id)?.day ?? null);
}
const boxes = new WeakMap();
const watch = new IntersectionObserver((seen) => {
  for (const e of seen) {
    if (!e.isIntersecting) continue;
    watch.unobserve(e.target);
    boxes.get(e.target)?.();
  }
});
function Success({ id }) {
  const [day, set] = useState(undefined);
  const box = useRef(null);
  useLayoutEffect(() => {
    let gone = false;
    const now = () => ask(id, (d) => gone || set(d));
    // What is in the window from the start does not wait for its first picture.
    const { top, bottom } = box.current.getBoundingClientRect();
    if (top < innerHeight && bottom > 0) now();
    else {
      boxes.set(box.current, now);
      watch.observe(box.current);
    }
    const seen = box.current;
    return () => {
      gone = true;
      watch.unobserve(seen);
    };
  }, [id]);
  const n = day ? day.delivered + day.failed : 0;
  return html`<span ref=${box} title=${day ? `${many(n, 'delivery', 'deliveries')} of the last 24 hours${day.complete ? '' : ', as far as they were counted'}` : undefined}>${day ? percent(day.success_rate) : day === null ? '–' : '…'}</span>`;
}

export function Subscriptions({ at, writable, admin, session }) {
  useTitle('Subscriptions');
  const now = useNow(5000);
  const q = at.query;
  const [text, setText] = useState(q.get('search') || '');
  const settled = useSettled(text, 200);
  const [enabling, setEnabling] = useState(false);
  useEffect(() => {
    if (settled !== (q.get('search') || '')) refine({ search: settled, after: '' });
  }, [settled]);
  useEffect(() => {
    if (q.get('find')) {
      document.querySelector('[data-search]')?.focus();
      refine({ find: '' });
    }
  }, []);
  const asked = { limit: 50, search: (q.get('search') || '').trim(), state: q.get('state'), failing: q.get('failing'), event: q.get('event'), account: admin ? q.get('account') : '', after: q.get('after') };
  const { data, error, loading, reload } = useLoad((signal) => call('GET', '/subscription/', { query: asked, signal }), [q.toString()], { every: 10_000 });
  const filtered = ['search', 'state', 'failing', 'event', 'account', 'after'].some((n) => q.get(n));
  const rows = data?.data || [];
  const next = data?.next && new URL(data.next, location.origin).searchParams.get('after');
  return html`
    <${Head} title="Subscriptions" sub=${admin ? 'Who gets which events, and whether they arrive.' : `What account ${session.account} is sent.`}>
      ${writable && q.get('state') === 'disabled' && rows.length > 0 && html`<button type="button" onClick=${() => setEnabling(true)}>Enable those that failed…</button>`}
      ${writable && html`<a class="button" href=${root + '/subscriptions/new'}>New subscription</a>`}
    <//>
    <div class="bar" role="search" aria-label="Subscriptions">
      <${Search} label="Search by name, id or host" placeholder="Name, id or host" value=${text} set=${setText} />
      <select aria-label="State" value=${q.get('failing') ? 'failing' : q.get('state') || ''} onChange=${(e) => refine(e.target.value === 'failing' ? { failing: 'true', state: '', after: '' } : { state: e.target.value, failing: '', after: '' })}>
        ${[['', 'All states'], ['active', 'Active'], ['failing', 'Failing'], ['disabled', 'Disabled'], ['pending', 'Pending'], ['shadow', 'Shadow'], ['expired', 'Expired']].map(([v, w]) =>
          html`<option value=${v} selected=${v === (q.get('failing') ? 'failing' : q.get('state') || '')}>${w}</option>`)}</select>
      <input type="text" aria-label="Event" placeholder="Event" value=${q.get('event') || ''} spellcheck=${false} onChange=${(e) => refine({ event: e.target.value.trim(), after: '' })} />
      ${admin && html`<input type="text" aria-label="Account" placeholder="Account" value=${q.get('account') || ''} onChange=${(e) => refine({ account: e.target.value.trim(), after: '' })} />`}
    </div>
    <${Failure} error=${error} again=${reload} />
    ${!data && loading && html`<${Loading} />`}
    ${data && rows.length === 0 && (filtered
      ? html`<${Empty} title="None fits"><p>No subscription is like that. ${q.get('search') ? 'The search looks for a part of the name, the id, the account, or the host of a target.' : ''}</p>
          <p><button type="button" onClick=${() => { setText(''); go('/subscriptions'); }}>Show all</button></p><//>`
      : html`<${Empty} title="No subscriptions yet">
          <p>A subscription is who gets which events, and where. ${writable ? 'Make one here, or from a shell:' : 'From a shell, with a token that may write:'}</p>
          <${Code} label="The command" text=${`rowhook subscription create --events '*' --target-url https://example.com/hooks`} />
          <${Code} label="The request" text=${`curl -sS -H "Authorization: Bearer $ROWHOOK_TOKEN" -H 'Content-Type: application/json' \\\n  -d '{"events": ["*"], "target_url": "https://example.com/hooks"}' ${location.origin}${base}/subscription/`} />
          ${writable && html`<a class="button" href=${root + '/subscriptions/new'}>New subscription</a>`}<//>`)}
    ${rows.length > 0 && html`<${Table} label="Subscriptions" rows=${rows} id=${(s) => s.id} columns=${[
      { name: 'Target', wide: true, cell: (s) => html`<a href=${`${root}/subscriptions/${s.id}`}><bdi class="clip">${s.name || host(s.target_url)}</bdi></a>
        <span class="under">${s.name ? html`<bdi class="one-line">${host(s.target_url)}</bdi>` : ''}<code>${s.id}</code></span>` },
      { name: 'State', cell: (s) => html`<${State} of=${stateOf(s)} />${s.failing_since && s.state === 'active' && html`<span class="under"><${When} at=${s.failing_since} now=${now} /></span>`}` },
      { name: 'Events', cell: (s) => html`<span class="clip">${s.events.slice(0, 3).map((e) => html`<code>${e}</code> `)}${s.events.length > 3 ? `and ${s.events.length - 3} more` : ''}</span>` },
      admin && { name: 'Account', cell: (s) => s.account === null ? html`<span class="muted">all</span>` : html`<bdi>${s.account}</bdi>` },
      { name: 'Arrived, 24 h', num: true, cell: (s) => html`<${Success} key=${s.id} id=${s.id} />` },
    ].filter(Boolean)} />`}
    <${Pager} next=${next} newest=${q.get('after')} onNext=${() => refine({ after: next }, { push: true })} onNewest=${() => refine({ after: '' }, { push: true })} older="Next page" newestWord="First page" />
    ${enabling && html`<${EnableFailed} close=${() => setEnabling(false)} done=${reload} at=${q} />`}`;
}

/** All that rowhook itself has disabled are enabled again: after the outage of a host, say. */
function EnableFailed({ close, done, at }) {
  const select = {};
  for (const name of ['account', 'event']) if (at.get(name)) select[name] = at.get(name);
  if (Object.keys(select).length === 0) select.all = true;
  const { data, error } = useLoad(async () => (await post('/subscription/enable', { ...select, dry_run: true })).data, []);
  const act = async () => {
    let enabled = 0;
    for (let after; ;) {
      const answer = (await post('/subscription/enable', { ...select, ...(after ? { after } : {}) })).data;
      enabled += answer.enabled;
      after = answer.after;
      if (!answer.more) break;
    }
    say(`${many(enabled, 'subscription is', 'subscriptions are')} enabled: what was kept for them is sent.`);
    await done();
  };
  return html`<${Confirm} title="Enable what rowhook has disabled" word=${data ? `Enable ${data.enabled}${data.more ? ' and more' : ''}` : 'Enable'} act=${act} close=${close}>
    <p>Their targets took nothing for days. What was kept for them meanwhile is sent, in order. Those that somebody has disabled stay disabled.</p>
    <${Failure} error=${error} />
    ${data && html`<p><strong>${many(data.enabled, 'subscription')}${data.more ? ' at least' : ''}</strong>${data.skipped ? `, and ${data.skipped} whose lease is over` : ''}.</p>`}
  <//>`;
}

export function DeleteSubscription({ s, close }) {
  const h = s.target_url ? host(s.target_url) : '';
  const typed = h && h.length <= 40 ? h : 'delete';
  return html`<${Confirm} title="Delete this subscription" typed=${typed} word="Delete" danger=${true} close=${close} act=${async () => {
    await call('DELETE', `/subscription/${part(s.id)}/`);
    say('The subscription is deleted.');
    go('/subscriptions');
  }}><p>Nothing more is sent to <strong><bdi>${s.name || h || s.id}</bdi></strong>, and what still waits for it is gone. This cannot be taken back: disabling it can.</p><//>`;
}

/** The secret, this once. */
export function Secret({ secret, close, children }) {
  return html`<${Confirm} title="The secret, shown this once" word="I have stored it" only=${true} act=${async () => {}} close=${close}>
    <div class="secret"><${Code} text=${secret} label="The secret" lines=${false} />${children}</div><//>`;
}
