// Events: everything that ever happened to one instance, and where it went.
import { html, useEffect, useRef, useState } from '../../site/vendor/htm@3.1.1/standalone.module.js';
import { call, get, part } from '../api.js';
import { stamp } from '../format.js';
import { nearest } from '../near.js';
import { go, refine, root } from '../router.js';
import { Code, Empty, Failure, Head, Id, Json, Loading, Pager, When, useLoad, useNow, useSettled, useTitle } from '../ui.js';
import { DeliveryTable } from './subscription.js';

/** What the query asks for: an instance and its resource, or types. */
function asked(q) {
  const query = { limit: 50, resource_id: q.get('resource_id'), before: q.get('before') };
  if (q.get('type')) query.type = q.get('type');
  else if (q.get('resource')) query.type = q.get('resource') + '.*';
  return query;
}

const position = /^[0-9a-f]{40}$/i;

/** "contact 42", "contact/42", "42", "contact" or "contact.update" as what to look for; or one event, by its webhook-id or its position. */
export function parse(text) {
  const one = text.trim();
  if (/^evt_[a-z2-7]{26}$/.test(one) || position.test(one)) return { event: one };
  const found = /^\s*([^\s/]+)?[\s/]*(.*?)\s*$/.exec(text);
  const [first, rest] = [found[1] || '', found[2]];
  if (rest) return first.includes('.') ? { type: first, resource_id: rest } : { resource: first, resource_id: rest };
  if (/^[A-Za-z_][\w-]*\.[\w*.-]+$/.test(first)) return { type: first };
  if (/^[A-Za-z_]+$/.test(first)) return { resource: first };
  return { resource_id: first };
}
const words = (q) => q.get('event') || [q.get('type') || q.get('resource'), q.get('resource_id')].filter(Boolean).join(' ');

/** One event, by its webhook-id or its position. What became of it tells where an id is; the list of events has what it says. */
async function one(id, signal) {
  let went = await call('GET', `/event/${part(id)}/delivery/`, { query: { limit: 1 }, signal });
  for (let i = 0; i < 5 && went.data.length === 0 && went.next; i++) went = await call('GET', went.next, { signal });
  const at = position.test(id) ? id.toLowerCase() : went.data[0]?.event.position;
  if (!at) return { data: [], unsent: true };
  const behind = (BigInt('0x' + at) + 1n).toString(16).padStart(40, '0');
  const { data } = await call('GET', '/event/', { query: { before: behind, limit: 1 }, signal });
  return { data: data.filter((e) => e.position === at) };
}

export function Events({ at, admin }) {
  const q = at.query;
  const now = useNow(5000);
  const name = words(q);
  useTitle(name ? `Events of ${name}` : 'Events');
  const [text, setText] = useState(name);
  const settled = useSettled(text, 350);
  // What this field has asked for by itself must not come back into it: somebody may have typed on meanwhile.
  const own = useRef(name);
  useEffect(() => {
    if (name === own.current) return;
    own.current = name;
    setText(name);
  }, [name]);
  useEffect(() => {
    if (settled.trim() === name.trim()) return;
    const p = parse(settled);
    own.current = words(new URLSearchParams(Object.entries(p).filter(([, v]) => v)));
    refine({ type: '', resource: '', resource_id: '', event: '', before: '', ...p });
  }, [settled]);
  const before = q.get('before');
  const { data, error, loading, reload } = useLoad(async (signal) => {
    if (q.get('event')) return one(q.get('event'), signal);
    // A page may be empty though there is more: it says how far it has looked. A few are read in one go.
    let answer = await call('GET', '/event/', { query: asked(q), signal });
    for (let i = 0; i < 5 && answer.data.length === 0 && answer.next; i++) answer = await call('GET', answer.next, { signal });
    return answer;
  }, [q.toString()], { every: before || q.get('event') ? 0 : 5000 });
  const unknown = q.get('event') && error?.status === 404;
  const rows = (!unknown && data?.data) || [];
  const next = data?.next && new URL(data.next, location.origin).searchParams.get('before');
  const looked = data?.headers?.get('Rowhook-Looked-Back');
  return html`
    <${Head} title=${q.get('event') ? html`The event <bdi>${name}</bdi>` : name ? html`Events of <bdi>${name}</bdi>` : 'Events'} sub=${admin ? 'What has happened to rows, newest first, and where it went.' : 'What has happened to your rows, newest first, and where it went.'} />
    <div class="bar" role="search" aria-label="Events"><input type="search" class="search" data-search aria-label="Instance or event" placeholder="contact 42, deal.update, a webhook-id" value=${text} spellcheck=${false} autocomplete="off"
      onInput=${(e) => setText(e.target.value)} /></div>
    ${error?.status === 410 ? html`<div class="callout warn-box"><p>What is older is gone: the retention is over.</p><p><button type="button" onClick=${() => refine({ before: '' })}>Newest</button></p></div>` : unknown ? html`<${Unknown} id=${name} />` : html`<${Failure} error=${error} again=${reload} />`}
    ${!data && loading && html`<${Loading} />`}
    ${data && !error && rows.length === 0 && (data.unsent ? html`<${Empty} title="Nobody got it"><p>The event is kept, and no subscription matched it. Its position, or its instance, shows what it says.</p><//>`
      : q.get('event') ? html`<${Unknown} id=${name} />`
      : name || next ? html`<${Nothing} q=${q} name=${name} admin=${admin} all=${() => { setText(''); go('/events'); }} choose=${setText} older=${next && `Nothing${looked ? ` since ${stamp(looked)}` : ' yet'}: it can be older.`} />`
        : html`<${Empty} title="No events yet"><p>An event is kept when a row is changed, committed, and a subscription matches it. Make a subscription, then change a row.</p>
          <a class="button" href=${root + '/subscriptions/new'}>New subscription</a><//>`)}
    ${rows.length > 0 && html`<table class="rows"><caption class="off">Events</caption>
      <thead><tr><th scope="col">Event</th><th scope="col" class="most">Data</th><th scope="col" class="num">Committed</th></tr></thead>
      <tbody>${rows.map((e) => html`<${Row} key=${(q.get('event') || '') + e.id} e=${e} now=${now} open=${rows.length === 1 || [e.id, e.position].includes(q.get('event')?.toLowerCase())} />`)}</tbody></table>`}
    ${looked && rows.length > 0 && next && html`<p class="hint">Looked back to ${stamp(looked)}.</p>`}
    <${Pager} next=${next} newest=${before} onNext=${() => refine({ before: next }, { push: true })} onNewest=${() => refine({ before: '' }, { push: true })} />`;
}

const Unknown = ({ id }) => html`<${Empty} title="No such event"><p>None of those that are kept is called so${position.test(id) ? '' : ', as far as the newest 100,000 go: the position of an older one finds it'}. A ping is not kept.</p><//>`;

/** Why nothing is found: a name that is none, or an instance that nothing is known of. */
function Nothing({ q, name, admin, all, choose, older }) {
  const { data: types, error } = useLoad(async (signal) => (await get('/event-type/', null, signal)).data, []);
  if (!types && !error) return html`<${Loading} />`;
  const type = q.get('type') || '';
  const resource = type.endsWith('.*') ? type.slice(0, -2) : q.get('resource');
  const names = resource ? [...new Set((types || []).map((t) => t.resource))].filter((r) => r === resource || !/^rowhook\b/.test(r)) : (types || []).map((t) => t.name);
  const asked = resource || type;
  if (types && asked && !names.includes(asked)) {
    const meant = nearest(asked, names);
    const instead = [meant, q.get('resource_id')].filter(Boolean).join(' ');
    return html`<${Empty} title=${`No ${resource ? 'resource' : 'event'} is called ${asked}`}>
      ${meant ? html`<p>Did you mean <button type="button" onClick=${() => choose(instead)}>${instead}</button>?</p>`
        : html`<p>There ${names.length === 1 ? 'is' : 'are'} ${names.slice(0, 12).map((n, i) => html`${i ? ', ' : ''}<code>${n}</code>`)}${names.length > 12 ? ` and ${names.length - 12} more` : ''}.</p>`}
      <p><button type="button" onClick=${all}>All events</button></p><//>`;
  }
  if (older) return html`<p class="muted">${older}</p>`;
  return html`<${Empty} title="Nothing is known of it"><p>No event of <bdi>${name}</bdi> is kept. Either nothing was committed within the retention, or no subscription matched it. To keep the events that nobody has subscribed to as well, set:</p>
    <${Code} label="The config" text="retention: {events: all}" lines=${false} />${admin && html`<p>Or it could not be mapped: see the <a href=${root + '/dead-letters'}>dead letters</a>.</p>`}<p><button type="button" onClick=${all}>All events</button></p><//>`;
}

/** A line of JSON, short. */
const brief = (e) => {
  const shown = e.previous ? { ...Object.fromEntries(Object.keys(e.previous).filter((k) => e.data && k in e.data).map((k) => [k, e.data[k]])) } : e.data;
  const text = JSON.stringify(shown ?? null);
  return (e.previous ? 'changed ' : '') + (text.length > 240 ? text.slice(0, 240) + '…' : text);
};

function Row({ e, now, open: begin }) {
  const [open, set] = useState(begin);
  const id = `event-${e.id}`;
  const instance = e.data?.id;
  return html`<tr class=${open ? 'open' : ''}>
    <td class="first" data-label="Event"><button type="button" class="quiet" aria-expanded=${open ? 'true' : 'false'} aria-controls=${id} onClick=${() => set(!open)}>${open ? '▾' : '▸'} ${e.type}${instance !== undefined && html` <bdi>${String(instance)}</bdi>`}</button></td>
    <td class="wide most" data-label="Data"><span class="clip"><code>${brief(e)}</code></span></td>
    <td class="num" data-label="Committed"><${When} at=${e.timestamp} now=${now} /></td></tr>
  ${open && html`<tr class="detail"><td colspan="3" class="first" id=${id}><${Inside} e=${e} now=${now} /></td></tr>`}`;
}

/** How many deliveries of an event are shown. */
const most = 50;

async function deliveriesOf(e, signal) {
  // Some pages are short, or empty, though there is more.
  let { data: rows, next } = await call('GET', `/event/${part(e.position || e.id)}/delivery/`, { query: { limit: most }, signal });
  for (let i = 0; i < 5 && next && rows.length < most; i++) {
    const more = await call('GET', next, { signal });
    rows = rows.concat(more.data);
    next = more.next;
  }
  return { rows, more: next !== null };
}

function Inside({ e, now }) {
  const { data, error, reload } = useLoad((signal) => deliveriesOf(e, signal), [e.id]);
  const rows = data?.rows || [];
  return html`<div class="inside">
    <div><p class="label">Where it went</p><${Failure} error=${error} again=${reload} />
      ${!data && !error && html`<${Loading} />`}
      ${data && rows.length === 0 && html`<p class="muted">Nowhere: no subscription got it.</p>`}
      ${rows.length > 0 && html`<${DeliveryTable} rows=${rows} now=${now} subscription=${true} />`}${data?.more && html`<p class="hint">There are more.</p>`}</div>
    <div><p class="label">What it says</p><${Json} value=${e} label="The event" /></div>
    <p class="sub"><span>${stamp(e.timestamp)}</span><${Id}>${e.id}<//><${Id}>${e.position || ''}<//></p></div>`;
}
