// The parts that pages are made of.
import { html, useCallback, useEffect, useLayoutEffect, useRef, useState } from '../site/vendor/htm@3.1.1/standalone.module.js';
import { Problem, awaySince } from './api.js';
import { ago, span, stamp } from './format.js';

export { html };

// --- What is said to people -----------------------------------------------------------------------------------------

const hearers = new Set();
/** Says something at the foot of the page, and to screen readers. A failure stays until the next one. */
export function say(text, bad = false) {
  hearers.forEach((f) => f({ text, bad }));
}

export function Notices() {
  const [said, set] = useState(null);
  useEffect(() => {
    let timer;
    const f = (s) => {
      clearTimeout(timer);
      set(s);
      if (!s.bad) timer = setTimeout(() => set(null), 6000);
    };
    hearers.add(f);
    return () => hearers.delete(f);
  }, []);
  return html`<div class="notices" role="status" aria-live="polite">${said &&
  html`<p class=${said.bad ? 'notice bad' : 'notice'}><span>${said.text}</span>
    <button class="quiet" type="button" aria-label="Dismiss" onClick=${() => set(null)}>×</button></p>`}</div>`;
}

// --- Data -----------------------------------------------------------------------------------------------------------

/**
 * What load() gives, and again when one of deps changes, and every so many milliseconds while somebody looks. What was there
 * stays on the page until the next is there: nothing jumps.
 */
export function useLoad(load, deps, { every = 0 } = {}) {
  const [state, set] = useState({ data: null, error: null, loading: true, at: 0 });
  const run = useRef(0);
  const latest = useRef(load);
  latest.current = load;
  const abort = useRef(null);
  // What only has to be asked for again: rowhook, or its store, is away.
  const missed = useRef(false);
  const reload = useCallback(async () => {
    const mine = ++run.current;
    abort.current?.abort();
    abort.current = new AbortController();
    try {
      const data = await latest.current(abort.current.signal);
      if (mine === run.current) missed.current = false;
      if (mine === run.current) set({ data, error: null, loading: false, at: Date.now() });
    } catch (e) {
      if (mine !== run.current || e.name === 'AbortError') return;
      missed.current = e.away || e.status === 503;
      set((s) => ({ ...s, error: e, loading: false }));
    }
  }, []);
  // What could not be read while rowhook was away is read when it is back, also where nothing else would.
  useEffect(() => {
    const back = () => !awaySince() && missed.current && reload();
    addEventListener('rowhook-reach', back);
    return () => removeEventListener('rowhook-reach', back);
  }, []);
  // Before the page is painted, not after: what is asked for is on its way meanwhile.
  useLayoutEffect(() => {
    set((s) => ({ ...s, loading: true }));
    let timer;
    let over = false;
    let due = false;
    const round = async () => {
      due = false;
      await reload();
      if (!over && (every || missed.current)) timer = setTimeout(next, every || 5000);
    };
    // A tab behind others is filled, as every tab, and asks again when somebody looks.
    const next = () => {
      if (document.hidden) due = true;
      else round();
    };
    const shown = () => !document.hidden && due && round();
    document.addEventListener('visibilitychange', shown);
    round();
    return () => {
      over = true;
      document.removeEventListener('visibilitychange', shown);
      run.current++;
      abort.current?.abort();
      clearTimeout(timer);
    };
  }, [...deps, every]);
  return { ...state, reload, put: (data) => set((s) => ({ ...s, data })) };
}

/** A clock that ticks, so that "5 s ago" grows. */
export function useNow(every = 1000) {
  const [now, set] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || set(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

/** A value that has been left alone for a while. */
export function useSettled(value, ms) {
  const [settled, set] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => set(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}

export function useTitle(text) {
  useEffect(() => {
    document.title = text ? `${text} · rowhook` : 'rowhook';
  }, [text]);
}

// --- States: a shape, a word, a colour ------------------------------------------------------------------------------

const shapes = {
  dot: html`<circle cx="6" cy="6" r="4" fill="currentColor" />`,
  ring: html`<circle cx="6" cy="6" r="3.500" fill="none" stroke="currentColor" stroke-width="1.600" />`,
  half: html`<g><circle cx="6" cy="6" r="3.500" fill="none" stroke="currentColor" stroke-width="1.400" /><path d="M6 2.500a3.500 3.500 0 0 1 0 7z" fill="currentColor" /></g>`,
  square: html`<rect x="2.500" y="2.500" width="7" height="7" rx="1" fill="currentColor" />`,
  triangle: html`<path d="M6 1.500 11 10.500H1z" fill="currentColor" />`,
  cross: html`<path d="m2.500 2.500 7 7m0-7-7 7" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" />`,
  check: html`<path d="m2 6.500 2.800 3L10 3" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" />`,
  dash: html`<path d="M2.500 6h7" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" />`,
  clock: html`<g fill="none" stroke="currentColor" stroke-width="1.400" stroke-linecap="round"><circle cx="6" cy="6" r="4.200" /><path d="M6 3.800V6l1.500 1" /></g>`,
  turn: html`<path d="M9.500 4A4 4 0 1 0 10 7M10 1.500V4.200H7.300" fill="none" stroke="currentColor" stroke-width="1.500" stroke-linecap="round" stroke-linejoin="round" />`,
};
export const Shape = ({ of }) => html`<svg class="shape" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">${shapes[of]}</svg>`;

const states = {
  active: ['dot', 'good'], shadow: ['half', 'calm'], pending: ['clock', 'calm'], disabled: ['square', 'warn'], expired: ['dash', 'calm'], failing: ['triangle', 'bad'],
  delivered: ['check', 'good'], failed: ['cross', 'bad'], dropped: ['dash', 'calm'], retrying: ['turn', 'warn'],
  open: ['triangle', 'warn'], closed: ['check', 'calm'], queued: ['clock', 'calm'], running: ['turn', 'calm'], done: ['check', 'good'], cancelled: ['dash', 'calm'],
  error: ['cross', 'bad'], warning: ['triangle', 'warn'], info: ['ring', 'calm'], fits: ['check', 'good'], 'does not fit': ['cross', 'bad'],
  replicating: ['dot', 'good'], catching_up: ['turn', 'warn'], paused: ['square', 'warn'], held: ['cross', 'bad'], waiting: ['clock', 'warn'],
  starting: ['clock', 'calm'], standby: ['ring', 'calm'], proxy: ['ring', 'calm'],
};
export function State({ of, word, tone }) {
  const [shape, own] = states[of] || ['ring', 'calm'];
  return html`<span class=${'state ' + (tone || own)}><${Shape} of=${shape} />${word || String(of).replaceAll('_', ' ')}</span>`;
}

// --- Small things ---------------------------------------------------------------------------------------------------

/** A time as how long ago it was; the time itself is in its title. */
export function When({ at, now, none = '–' }) {
  if (!at) return html`<span class="muted">${none}</span>`;
  return html`<time datetime=${at} title=${stamp(at)}>${ago(at, now)}</time>`;
}

/** How long something has been so: for 5 min. */
export const For = ({ since, now }) => html`<time datetime=${since} title=${stamp(since)}>for ${span(since, now)}</time>`;

export function Button({ act, kind = '', children, ...rest }) {
  const [busy, set] = useState(false);
  const alive = useRef(true);
  useEffect(() => () => { alive.current = false; }, []);
  const press = async () => {
    if (busy) return;
    set(true);
    try {
      await act();
    } catch (e) {
      say(complaint(e), true);
    } finally {
      if (alive.current) set(false);
    }
  };
  return html`<button type="button" class=${kind} aria-disabled=${busy ? 'true' : undefined} onClick=${press} ...${rest}>${children}</button>`;
}

/** An error in words, with what to do. */
export function complaint(e) {
  if (!(e instanceof Problem)) return String(e?.message || e);
  const told = e.errors.map((x) => (x.field ? `${x.field}: ${x.detail}` : x.detail)).join('. ');
  let text = told || e.message;
  if (e.status === 429 && e.retryAfter) text += `: try again in ${e.retryAfter} s`;
  if (e.status === 412) text = 'Somebody has changed it since this page read it: read it again, then repeat what you did';
  if (e.status >= 500 && e.id) text += ` (${e.id} finds the line in the log of rowhook)`;
  return (told ? text : text.charAt(0).toUpperCase() + text.slice(1)) + (/[.!?)]$/.test(text) ? '' : '.');
}

export function Failure({ error, again }) {
  if (!error || (error.away && awaySince())) return null; // that is told once, at the top: see away.js
  return html`<div class="failure" role="alert"><p><${State} of="error" word="That did not work" /></p><p>${complaint(error)}</p>
    ${error.status === 503 && html`<p>The page asks again by itself. The <a href="/console/">overview</a> of the admin says what is away, and what mends it.</p>`}
    ${again && html`<${Button} act=${again}>Try again<//>`}</div>`;
}

export async function copyText(text, what = 'Copied') {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages without TLS have no clipboard but this one.
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'off';
    (document.querySelector('dialog[open]') || document.body).append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    if (!done) return say('The browser does not let this page copy: select the text, and copy it by hand.', true);
  }
  say(what + '.');
}

export const Copy = ({ text, label = 'Copy', what }) =>
  html`<button type="button" class="quiet copy" onClick=${() => copyText(typeof text === 'function' ? text() : text, what)}>${label}</button>`;

/** A text in lines as it is, with a button that copies it. */
export function Code({ text, label, lines = true }) {
  return html`<div class=${lines ? 'code' : 'code one'}><pre tabindex="0" aria-label=${label}>${text}</pre><${Copy} text=${text} /></div>`;
}

/** An id or a position, short, whole in its title. */
export const Id = ({ children, short }) => {
  const text = String(children);
  return html`<code class="id" title=${text}>${short && text.length > short ? text.slice(0, short - 5) + '…' + text.slice(-4) : text}</code>`;
};

const token = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** JSON in colours. Of very long ones the colours are left out. */
export function Json({ value, text, label = 'JSON' }) {
  let shown = text;
  if (shown === undefined) shown = JSON.stringify(value, null, 2);
  else {
    try {
      // Digits beyond what a number of JavaScript holds would be changed by reading and writing them.
      const again = JSON.parse(text);
      const pretty = JSON.stringify(again, null, 2);
      if (JSON.stringify(again) === text.trim()) shown = pretty;
    } catch { /* no JSON, or the beginning of one: as it is */ }
  }
  shown = shown ?? 'null';
  let inside = shown;
  if (shown.length < 100_000) {
    inside = [];
    let from = 0;
    for (const m of shown.matchAll(token)) {
      inside.push(shown.slice(from, m.index));
      if (m[1] && m[2]) inside.push(html`<span class="k">${m[1]}</span>`, m[2]);
      else inside.push(html`<span class=${m[1] ? 's' : 'n'}>${m[0]}</span>`);
      from = m.index + m[0].length;
    }
    inside.push(shown.slice(from));
  }
  return html`<div class="code"><pre tabindex="0" aria-label=${label}>${inside}</pre><${Copy} text=${shown} /></div>`;
}

/** What there is to do where nothing is yet. */
export const Empty = ({ title, children }) => html`<div class="empty"><h2>${title}</h2>${children}</div>`;

export const Loading = () => html`<p class="loading" aria-busy="true">Reading…</p>`;

/** Names and values. Those that are undefined are left out; a third part that is true gives one a line of its own. */
export const Facts = ({ of }) =>
  html`<dl class="facts">${of.filter((f) => f && f[1] !== undefined).map(([name, value, long]) => html`<div class=${long ? 'long' : undefined}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

/**
 * A table that becomes a list on a phone.
 * @param {{label: string, columns: {name: string, cell: Function, num?: boolean, wide?: boolean}[], rows: object[], id: Function}} props
 */
/** The rows that a window may show, for the first picture; from then on all. */
function useFirst(rows) {
  const [all, set] = useState(false);
  useEffect(() => set(true), []);
  return all ? rows : rows.slice(0, Math.ceil(innerHeight / 60));
}

export function Table({ label, columns, rows: all, id, flash }) {
  const rows = useFirst(all);
  // On a phone rows are no rows to the style sheet, and for screen readers only what the roles say.
  return html`<table class="rows" role="table">
    <caption class="off">${label}</caption>
    <thead role="rowgroup"><tr role="row">${columns.map((c) => html`<th scope="col" role="columnheader" class=${c.num ? 'num' : c.wide ? 'wide' : ''}>${c.name}</th>`)}</tr></thead>
    <tbody role="rowgroup">${rows.map((row) => html`<tr key=${id(row)} role="row" class=${flash && flash(row) ? 'fresh' : ''}>${columns.map((c, i) =>
      html`<td role="cell" data-label=${c.name} class=${(c.num ? 'num' : c.wide ? 'wide' : '') + (i === 0 ? ' first' : '')}>${c.cell(row)}</td>`)}</tr>`)}</tbody>
  </table>`;
}

export function Pager({ next, newest, onNext, onNewest, older = 'Older', newestWord = 'Newest' }) {
  if (!next && !newest) return null;
  return html`<nav class="pager" aria-label="Pages of the list">${newest && html`<button type="button" onClick=${onNewest}>${newestWord}</button>`}
    ${next && html`<button type="button" onClick=${onNext}>${older}</button>`}</nav>`;
}

export function Head({ title, sub, children, crumbs }) {
  return html`<header class="head">
    ${crumbs && html`<p class="crumbs">${crumbs}</p>`}
    <div class="headline"><h1 tabindex="-1">${title}</h1><div class="actions">${children}</div></div>
    ${sub && html`<div class="sub">${sub}</div>`}
  </header>`;
}

// --- Forms ----------------------------------------------------------------------------------------------------------

let nextId = 0;
export function useId(prefix) {
  const id = useRef(null);
  if (!id.current) id.current = `${prefix}-${++nextId}`;
  return id.current;
}

/** A field with its label, its hint and what is wrong with it. make gets the attributes of the control. */
export function Field({ label, hint, wrong, make, wide }) {
  const id = useId('f');
  const about = [hint && id + '-hint', wrong && id + '-wrong'].filter(Boolean).join(' ');
  return html`<div class=${'field' + (wide ? ' wide' : '') + (wrong ? ' wrong' : '')}>
    <label for=${id}>${label}</label>
    ${make({ id, 'aria-describedby': about || undefined, 'aria-invalid': wrong ? 'true' : undefined })}
    ${wrong && html`<p class="mistake" id=${id + '-wrong'}>${wrong}</p>`}
    ${hint && html`<p class="hint" id=${id + '-hint'}>${hint}</p>`}
  </div>`;
}

export const Input = ({ value, set, ...rest }) => html`<${Field} ...${rest} make=${(a) =>
  html`<input type=${rest.type || 'text'} value=${value} onInput=${(e) => set(e.target.value)} autocomplete="off" spellcheck=${false} placeholder=${rest.placeholder}
    list=${rest.list} ...${a} />`} />`;

export const Select = ({ value, set, options, ...rest }) => html`<${Field} ...${rest} make=${(a) =>
  html`<select value=${value} onChange=${(e) => set(e.target.value)} ...${a}>${options.map((o) => {
    const [v, word] = Array.isArray(o) ? o : [o, o];
    return html`<option value=${v} selected=${v === value}>${word}</option>`;
  })}</select>`} />`;

export const Area = ({ value, set, rows = 4, ...rest }) => html`<${Field} ...${rest} make=${(a) =>
  html`<textarea rows=${rows} value=${value} onInput=${(e) => set(e.target.value)} spellcheck=${false} placeholder=${rest.placeholder} ...${a}></textarea>`} />`;

export function Check({ label, value, set, hint }) {
  const id = useId('c');
  return html`<div class="check"><input type="checkbox" id=${id} checked=${value} onChange=${(e) => set(e.target.checked)} aria-describedby=${hint ? id + '-hint' : undefined} />
    <label for=${id}>${label}</label>${hint && html`<p class="hint" id=${id + '-hint'}>${hint}</p>`}</div>`;
}

/** A search field that the key / goes to. */
export function Search({ value, set, label, placeholder }) {
  return html`<input type="search" class="search" data-search aria-label=${label} placeholder=${placeholder} value=${value} autocomplete="off" spellcheck=${false}
    onInput=${(e) => set(e.target.value)} />`;
}

/** A window before the page. Escape and the browser's own handling of the focus are those of <dialog>. */
export function Dialog({ title, close, children }) {
  const box = useRef(null);
  const id = useId('d');
  const closing = useRef(close);
  closing.current = close;
  useLayoutEffect(() => {
    const before = document.activeElement;
    const el = box.current;
    el.showModal();
    return () => {
      el.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return html`<dialog ref=${box} aria-labelledby=${id} onCancel=${(e) => { e.preventDefault(); closing.current(); }}>
    <h2 id=${id}>${title}</h2>${children}</dialog>`;
}

/** Asks before something that cannot be taken back. With typed, the word has to be written; only says that there is nothing left to cancel. */
export function Confirm({ title, children, typed, word, danger, only, act, close }) {
  const [text, set] = useState('');
  const [error, fail] = useState(null);
  const [busy, setBusy] = useState(false);
  const ready = !typed || text.trim() === typed;
  const submit = async (e) => {
    e.preventDefault();
    if (!ready || busy) return;
    setBusy(true);
    fail(null);
    try {
      await act();
      close();
    } catch (x) {
      fail(x);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${title} close=${close}><form onSubmit=${submit}>
    ${children}
    ${typed && html`<${Input} label=${html`Type <code>${typed}</code> to confirm`} value=${text} set=${set} />`}
    <${Failure} error=${error} />
    <div class="actions"><button type="submit" class=${danger ? 'danger' : 'primary'} disabled=${!ready || busy}>${word}</button>
    ${!only && html`<button type="button" onClick=${close}>Cancel</button>`}</div>
  </form><//>`;
}
