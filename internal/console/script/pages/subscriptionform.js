// Making and changing a subscription. What is wrong with a field is told by the API, and stands at the field.
import { html, useEffect, useRef, useState } from '../../site/vendor/htm@3.1.1/standalone.module.js';
import { call, get, part } from '../api.js';
import { called } from '../format.js';
import { go, root } from '../router.js';
import { Area, Check, Failure, Head, Input, Loading, Select, say, useId, useTitle } from '../ui.js';
import { Secret } from './subscriptions.js';

const lines = (text) => text.split('\n').map((l) => l.trim()).filter(Boolean);
const pretty = (value) => (value && Object.keys(value).length ? JSON.stringify(value, null, 2) : '');
const local = (iso) => {
  if (!iso) return '';
  const t = new Date(iso);
  return new Date(t.getTime() - t.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
};

/** What stands in the fields, of a subscription. */
function fieldsOf(s) {
  const d = s.delivery || {};
  const r = s.request || {};
  const { format = '', signature = '', encoding = '', method = '', compression = '', ...rest } = r;
  return {
    events: s.events || [], target_url: s.target_url || '', feed: s.target_url === null, name: s.name || '', description: s.description || '', account: s.account || '',
    resource_id: s.resource_id || '', filter: s.filter || '', ignore_sources: (s.ignore_sources || []).join('\n'), expires_at: local(s.expires_at),
    shadow: s.state === 'shadow', verification: s.verification || 'none', notify_end: !!s.notify_end, metadata: pretty(s.metadata), secret: '',
    timeout: d.timeout || '', retries: Array.isArray(d.retries) ? d.retries.join(', ') : d.retries === undefined || d.retries === null ? '' : String(d.retries), ordering: d.ordering || '',
    max_in_flight: d.max_in_flight ? String(d.max_in_flight) : '', rate_limit: d.rate_limit || '', debounce: d.debounce || '', max_body: d.max_body || '', fallback_url: d.fallback_url || '',
    batch: !!d.batch, batch_max: d.batch?.max ? String(d.batch.max) : '', batch_bytes: d.batch?.bytes || '', batch_wait: d.batch?.wait || '',
    format, signature, encoding, method, compression, request: pretty(rest),
  };
}

class Unreadable extends Error {
  constructor(field, text) {
    super(text);
    this.errors = [{ field, detail: text }];
  }
}
function object(field, text) {
  if (!text.trim()) return {};
  let v;
  try {
    v = JSON.parse(text);
  } catch (e) {
    throw new Unreadable(field, `this is no JSON: ${e.message}`);
  }
  if (v === null || typeof v !== 'object' || Array.isArray(v)) throw new Unreadable(field, 'an object is wanted: {"name": "value"}');
  return v;
}
/** A number where it is one; else the text, so that the API says what is wrong with it. */
const number = (text) => (/^\d+$/.test(text.trim()) ? Number(text) : text.trim());

/** What the API is sent, of what stands in the fields. */
function bodyOf(f) {
  const given = (pairs) => Object.fromEntries(Object.entries(pairs).filter(([, v]) => v !== '' && v !== undefined && v !== null));
  const batch = f.batch ? given({ max: f.batch_max && number(f.batch_max), bytes: f.batch_bytes, wait: f.batch_wait }) : undefined;
  const retries = f.retries.trim() === '' ? undefined : /^\d+$/.test(f.retries.trim()) ? Number(f.retries) : f.retries.split(/[,\s]+/).filter(Boolean);
  const delivery = given({ timeout: f.timeout, retries, ordering: f.ordering, max_in_flight: f.max_in_flight && number(f.max_in_flight), rate_limit: f.rate_limit,
    debounce: f.debounce, max_body: f.max_body, fallback_url: f.fallback_url, batch });
  const request = { ...given({ format: f.format, signature: f.signature, encoding: f.encoding, method: f.method, compression: f.compression }), ...object('request', f.request) };
  return {
    events: f.events, target_url: f.feed ? null : f.target_url.trim(), name: f.name, description: f.description, resource_id: f.resource_id.trim() || null, filter: f.filter.trim() || null,
    ignore_sources: lines(f.ignore_sources), expires_at: f.expires_at ? new Date(f.expires_at).toISOString() : null, verification: f.verification, notify_end: f.notify_end,
    metadata: object('metadata', f.metadata), delivery, request,
  };
}

/** What has changed, as a merge patch: of nested objects what is gone is null. */
function patchOf(before, after) {
  const patch = {};
  for (const name of Object.keys(after)) {
    const [a, b] = [before[name], after[name]];
    if (JSON.stringify(a) === JSON.stringify(b)) continue;
    if (name === 'delivery' || name === 'request' || name === 'metadata') {
      const inner = { ...b };
      for (const key of Object.keys(a || {})) if (!(key in b)) inner[key] = null;
      if (inner.batch && a?.batch) for (const key of Object.keys(a.batch)) if (!(key in inner.batch)) inner.batch = { ...inner.batch, [key]: null };
      patch[name] = inner;
    } else patch[name] = b;
  }
  return patch;
}

function Events({ value, set, types, wrong }) {
  const id = useId('events');
  const [text, write] = useState('');
  const add = (given) => {
    const names = given.split(/[,\s]+/).filter(Boolean);
    if (names.length) set([...new Set([...value, ...names])]);
    write('');
  };
  const resources = [...new Set((types || []).filter((t) => !t.admin_only).map((t) => t.resource))];
  const options = ['*', ...resources.map((r) => r + '.*'), ...(types || []).map((t) => t.name)].filter((n) => !value.includes(n));
  const about = (wrong ? id + '-wrong ' : '') + id + '-hint';
  return html`<div class=${'field span' + (wrong ? ' wrong' : '')}>
    <label for=${id}>Events</label>
    ${value.length > 0 && html`<ul class="chips" aria-label="Chosen events">${value.map((name) => html`<li class="chip" key=${name}>${name}<button type="button" class="quiet" aria-label=${`Remove ${name}`}
      onClick=${() => set(value.filter((v) => v !== name))}>×</button></li>`)}</ul>`}
    <input id=${id} type="text" list=${id + '-list'} value=${text} autocomplete="off" spellcheck=${false} placeholder=${value.length ? 'One more' : 'contact.*'} aria-describedby=${about} aria-invalid=${wrong ? 'true' : undefined}
      onInput=${(e) => (e.inputType === 'insertReplacementText' || (e.inputType === undefined && options.includes(e.target.value)) ? add(e.target.value) : write(e.target.value))}
      onKeyDown=${(e) => { if ((e.key === 'Enter' || e.key === ',') && text.trim()) { e.preventDefault(); add(text); } }} onBlur=${() => text.trim() && add(text)} />
    <datalist id=${id + '-list'}>${options.slice(0, 500).map((o) => html`<option value=${o}></option>`)}</datalist>
    ${wrong && html`<p class="mistake" id=${id + '-wrong'}>${wrong}</p>`}
    <p class="hint" id=${id + '-hint'}>Names such as <code>contact.update</code>, <code>contact.*</code> for all of a resource, <code>*</code> for all. Enter adds one.</p>
  </div>`;
}

/** The field of the form that a field of the API is in. */
function placeOf(field) {
  const found = /^(delivery|request)\.(\w+)(?:[.[](\w+))?/.exec(field);
  if (!found) {
    if (field === 'event') return 'events';
    if (field === 'state') return 'shadow';
    return field.replace(/[.[].*$/, '');
  }
  const [, block, name, inner] = found;
  if (block === 'delivery') return name === 'batch' ? (['max', 'bytes', 'wait'].includes(inner) ? 'batch_' + inner : 'batch_max') : name;
  return ['format', 'signature', 'encoding', 'method', 'compression'].includes(name) ? name : 'request';
}
/** What the API says of a field, in the words of the form: where it sends callers to another path, the field has a list. */
const inForm = (detail) => detail.replace('event-type/ lists them', 'choose one of those that the field offers as you write');

const more = {
  what: ['resource_id', 'filter', 'ignore_sources', 'expires_at', 'shadow'],
  how: ['timeout', 'retries', 'ordering', 'max_in_flight', 'rate_limit', 'debounce', 'max_body', 'fallback_url', 'batch_max', 'batch_bytes', 'batch_wait'],
  request: ['format', 'signature', 'encoding', 'method', 'compression', 'request', 'verification', 'notify_end', 'secret'],
  about: ['description', 'metadata'],
};

export function SubscriptionForm({ id, admin }) {
  useTitle(id ? 'Edit subscription' : 'New subscription');
  const [was, setWas] = useState(null);
  const [f, setF] = useState(id ? null : fieldsOf({}));
  const [types, setTypes] = useState([]);
  const [error, fail] = useState(null);
  const [busy, setBusy] = useState(false);
  const [made, setMade] = useState(null);
  const form = useRef(null);
  // A request that is repeated because its answer was lost makes no second subscription.
  const key = useRef({});
  const read = async () => {
    try {
      const { data, headers } = await call('GET', `/subscription/${part(id)}/`);
      setWas({ s: data, tag: headers.get('ETag') });
      setF(fieldsOf(data));
      fail(null);
    } catch (e) {
      fail(e);
    }
  };
  useEffect(() => {
    get('/event-type/').then((a) => setTypes(a.data), () => {});
    if (id) read();
  }, []);
  useEffect(() => {
    if (error?.errors?.length) form.current?.querySelector('[aria-invalid="true"]')?.focus();
  }, [error]);
  if (!f) return html`<${Head} title="Edit" />${error ? html`<${Failure} error=${error} again=${read} />` : html`<${Loading} />`}`;
  const set = (name) => (value) => setF((old) => ({ ...old, [name]: value }));
  const wrongs = {};
  const others = [];
  for (const e of error?.errors || []) {
    const place = placeOf(e.field);
    if (place in f) wrongs[place] = wrongs[place] ? `${wrongs[place]}. ${inForm(e.detail)}` : inForm(e.detail);
    else others.push(e);
  }
  const input = (name, label, hint, rest) => html`<${Input} label=${label} hint=${hint} value=${f[name]} set=${set(name)} wrong=${wrongs[name]} ...${rest} />`;
  const select = (name, label, options, hint) => html`<${Select} label=${label} hint=${hint} value=${f[name]} set=${set(name)} options=${options} wrong=${wrongs[name]} />`;
  const area = (name, label, hint, rest) => html`<${Area} label=${label} hint=${hint} value=${f[name]} set=${set(name)} wrong=${wrongs[name]} wide=${true} ...${rest} />`;
  const opened = (group) => more[group].some((n) => wrongs[n]) || (id && more[group].some((n) => f[n] && f[n] !== 'none'));
  const submit = async (e) => {
    e.preventDefault();
    if (busy) return;
    setBusy(true);
    try {
      const body = bodyOf(f);
      if (id) {
        const patch = patchOf(bodyOf(fieldsOf(was.s)), body);
        if (f.shadow !== (was.s.state === 'shadow')) patch.state = f.shadow ? 'shadow' : 'active';
        if (f.secret) patch.secret = f.secret;
        if (Object.keys(patch).length === 0) {
          say('Nothing has changed.');
        } else {
          await call('PATCH', `/subscription/${part(id)}/`, { body: patch, match: was.tag });
          say('The subscription is changed.');
        }
        go(`/subscriptions/${id}`);
        return;
      }
      for (const name of ['resource_id', 'filter', 'expires_at']) if (body[name] === null) delete body[name];
      if (admin && f.account.trim()) body.account = f.account.trim();
      if (f.shadow) body.state = 'shadow';
      if (f.secret) body.secret = f.secret;
      const said = JSON.stringify(body);
      if (key.current.said !== said) key.current = { said, key: Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('') };
      const { data } = await call('POST', '/subscription/', { body, headers: { 'Idempotency-Key': key.current.key } });
      if (data.secret) setMade(data);
      else {
        say('Its lease is renewed: there was one like this already.');
        go(`/subscriptions/${data.id}`);
      }
    } catch (x) {
      fail(x);
      setBusy(false);
    }
  };
  const top = error && (others.length > 0 || !error.errors?.length) ? { ...error, errors: others, message: error.message } : null;
  const group = (name, title, sub, children) => html`<details class="more" open=${opened(name) || undefined}><summary>${title}<span>${sub}</span></summary><div class="form">${children}</div></details>`;
  return html`<${Head} title=${id ? html`<bdi class="clip">Edit ${was.s.name || 'subscription'}</bdi>` : 'New subscription'} crumbs=${html`<a href=${root + '/subscriptions'}>Subscriptions</a>${id && html` / <a href=${`${root}/subscriptions/${id}`}><bdi>${called(was.s)}</bdi></a>`}`} />
  <form ref=${form} onSubmit=${submit} novalidate>
    ${top && html`<${Failure} error=${Object.assign(error, { errors: others })} />`}
    ${error?.status === 412 && html`<p><button type="button" onClick=${read}>Read it again</button></p>`}
    <div class="form">
      <${Events} value=${f.events} set=${set('events')} types=${types} wrong=${wrongs.events} />
      ${!f.feed && input('target_url', 'Target URL', 'Where events are sent: https, at a public address, unless the config allows more.', { wide: true, type: 'text', placeholder: 'https://example.com/hooks' })}
      <div class="span"><${Check} label="No target: a feed" value=${f.feed} set=${set('feed')} hint="Events are kept to be read over the API, and sent to nobody." /></div>
      ${input('name', 'Name', 'For people.')}
      ${admin && !id && input('account', 'Account', 'The customer whom it belongs to. Empty: the events of all.')}
    </div>
    <br />
    ${group('what', 'Which events', 'filter, one instance, a lease', html`
      ${area('filter', 'Filter', html`An expression that has to be true: <code>data.stage == "won" && "stage" in previous</code>`, { rows: 2 })}
      ${input('resource_id', 'Only this instance', 'Its id: 42')}
      ${input('expires_at', 'Ends at', 'A lease. Empty: it does not end.', { type: 'datetime-local' })}
      ${area('ignore_sources', 'Ignore sources', 'One in a line: events of transactions that the application marked so are not sent.', { rows: 2 })}
      <div class="span"><${Check} label="Shadow" value=${f.shadow} set=${set('shadow')} hint="Everything happens but the requests: to see what it would get." />${wrongs.shadow && html`<p class="mistake">${wrongs.shadow}</p>`}</div>`)}
    ${group('how', 'Delivery', 'timeout, retries, order, limits, batches', html`
      ${input('timeout', 'Timeout', 'Such as 15s.')}
      ${input('retries', 'Retries', 'Waits such as 5s, 5m, 2h; or how many of the config’s.')}
      ${select('ordering', 'Order', [['', 'as the config has it'], ['resource', 'in order for each instance'], ['none', 'none: whatever is ready']])}
      ${input('max_in_flight', 'Requests at once', '1 to 1000.')}
      ${input('rate_limit', 'Rate limit', '10/s, 600/m or 5000/h.')}
      ${input('debounce', 'Debounce', 'Changes of an instance are gathered so long: 15s.')}
      ${input('max_body', 'Largest body', 'Such as 256KiB; larger ones come without data.')}
      ${input('fallback_url', 'Fallback URL', 'Where an event goes whose retries have all failed.', { wide: true })}
      <div class="span"><${Check} label="Several events in one request" value=${f.batch} set=${set('batch')} /></div>
      ${f.batch && html`${input('batch_max', 'Events of a request', '1 to 1000; 100 if empty.')}${input('batch_bytes', 'Bytes of a request', '256KiB if empty.')}${input('batch_wait', 'Wait for others', '1s if empty.')}`}`)}
    ${group('request', 'Request', 'format, signature, headers, log-in, verification', html`
      ${select('format', 'Format', [['', 'standard'], 'rest_hooks', 'representation', 'thin', 'cloudevents'])}
      ${select('signature', 'Signature', [['', 'as the format has it'], 'standard', 'standard_v1a', 'rest_hooks', 'github', 'stripe', 'slack', 'twilio', 'vonage', 'none'])}
      ${select('encoding', 'Encoding', [['', 'json'], 'form'])}
      ${select('method', 'Method', [['', 'POST'], 'PUT', 'GET'])}
      ${select('compression', 'Compression', [['', 'none'], 'gzip'])}
      ${select('verification', 'Verification', ['none', 'secret', 'challenge'], 'Asks the target whether it wants what is sent, before anything is.')}
      ${area('request', 'Headers, log-in and custom data', html`JSON: <code>${'{"headers": {"x-tenant": "acme"}, "auth": {"type": "bearer", "token": "…"}}'}</code>. <code>***</code> is the value that is stored.`, { rows: 4 })}
      ${input('secret', 'Secret', id ? 'A new one signs from now on alone. To keep the old one for a while, rotate it instead.' : 'whsec_ and base64. Empty: rowhook makes one.', { wide: true, type: 'password' })}
      <div class="span"><${Check} label="Tell the target when the subscription is over" value=${f.notify_end} set=${set('notify_end')} /></div>`)}
    ${group('about', 'Description and metadata', 'for people and programs', html`
      ${input('description', 'Description', '', { wide: true })}${area('metadata', 'Metadata', html`JSON: <code>${'{"plan": "pro"}'}</code>`, { rows: 3 })}`)}
    <div class="foot"><button type="submit" class="primary" aria-disabled=${busy ? 'true' : undefined}>${id ? 'Save' : 'Create'}</button><a class="button plain" href=${id ? `${root}/subscriptions/${id}` : root + '/subscriptions'}>Cancel</a></div>
  </form>
  ${made && html`<${Secret} secret=${made.secret} close=${() => go(`/subscriptions/${made.id}`)}>
    <p>It signs what is sent to <bdi>${made.target_url || 'nobody: a feed'}</bdi>. Give it to the receiver: rowhook does not show it again. A new one comes by rotating it.</p><//>`}`;
}
