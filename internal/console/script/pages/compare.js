// Comparing what would be sent with what the application's API answers: some rows at a time, so that what is found shows as it goes.
import { html, useEffect, useRef, useState } from '../../site/vendor/htm@3.1.1/standalone.module.js';
import { call } from '../api.js';
import { many } from '../format.js';
import { Failure, Input, Select, State } from '../ui.js';

const nothing = { rows: 0, different: 0, fields: [], not_found: [], not_instances: [], failed: [], from_api: [], of: 0 };
/** How many examples of a field are shown. */
const shown = 3;

/** What was found, with what a further answer says. */
function add(a, b) {
  const fields = new Map(a.fields.map((f) => [f.path, f]));
  for (const f of b.fields) {
    const before = fields.get(f.path);
    fields.set(f.path, before ? { ...before, rows: before.rows + f.rows, hint: before.hint || f.hint, examples: [...before.examples, ...f.examples].slice(0, shown) } : { ...f, examples: f.examples.slice(0, shown) });
  }
  const all = { fields: [...fields.values()].sort((x, y) => (x.path < y.path ? -1 : 1)), from_api: b.from_api, rows: a.rows + b.rows, different: a.different + b.different };
  for (const list of ['not_found', 'not_instances', 'failed']) all[list] = [...a[list], ...b[list]];
  return { ...all, of: looked(all) + b.rest.length };
}
const looked = (f) => f.rows + f.not_found.length + f.not_instances.length + f.failed.length;

/** A value as JSON, so that 12.5 and "12.5" are told apart. */
const json = (v, side) => (side in v ? html`<code>${typeof v[side] === 'string' && v[side].startsWith('… ') ? v[side] : JSON.stringify(v[side])}</code>` : html`<span class="muted">no such field</span>`);
const few = (keys) => keys.slice(0, 10).join('; ') + (keys.length > 10 ? `; … ${keys.length} in all` : '');

export function Compare({ r, url }) {
  const [ids, setIds] = useState('');
  const [at, setAt] = useState('');
  const [size, setSize] = useState('20');
  const [found, tell] = useState(null);
  const [rest, leave] = useState([]);
  const [error, fail] = useState(null);
  const [busy, work] = useState(false);
  const abort = useRef(null);
  // Who leaves the page does not want the rest.
  useEffect(() => () => abort.current?.abort(), []);
  const ask = async (first, before) => {
    abort.current?.abort();
    const mine = (abort.current = new AbortController());
    fail(null);
    work(true);
    let body = first;
    let all = before;
    try {
      do {
        const { data } = await call('POST', url + 'compare', { body: { ...body, within: '1s', ...(at.trim() && { at: at.trim() }) }, signal: mine.signal, exact: true });
        all = add(all, data);
        tell(all);
        leave(data.rest);
        body = { ids: data.rest };
      } while (body.ids.length);
    } catch (e) {
      if (mine !== abort.current || e.name === 'AbortError') return;
      fail(e);
    }
    work(false);
  };
  const run = (e) => {
    e.preventDefault();
    const list = ids.split(r.key.length > 1 ? /\s+/ : /[,\s]+/).filter(Boolean);
    tell(null);
    leave([]);
    ask(list.length ? { ids: list } : { limit: Number(size) }, nothing);
  };
  const stop = () => {
    abort.current.abort();
    work(false);
  };
  if (!r.compare) return html`<section><h2>Compare with the API</h2><p class="muted">To compare bodies with what your API returns, name it in the config: <code>app.url</code>, and <code>path</code> of the resource.</p></section>`;
  return html`<section><h2>Compare with the API</h2>
    <p class="muted">Asks your API for <code>${r.path}</code>, row by row, and shows where the body that runs differs. It changes nothing.</p><br />
    <form class="form" onSubmit=${run}>
      <${Input} label="Rows" placeholder=${r.key.length > 1 ? '7,1 7,2' : '42, 43'} hint=${r.key.length > 1 ? 'Keys with spaces between. Empty: a sample.' : 'Empty: a sample.'} value=${ids} set=${setIds} wrong=${wrong(error, 'ids')} />
      <${Select} label="Sample" value=${size} set=${setSize} options=${[['20', '20 rows'], ['50', '50 rows'], ['100', '100 rows']]} />
      <${Input} label="Instance is at" placeholder="data" hint="Where it is in the answer, if not the whole." value=${at} set=${setAt} wrong=${wrong(error, 'at')} />
      <div class="actions"><button type="submit" aria-disabled=${busy ? 'true' : undefined} disabled=${busy}>Compare</button>${busy && html`<button type="button" onClick=${stop}>Stop</button>`}</div>
    </form><br />
    ${busy && html`<div class="progress"><progress max=${found?.of || 1} value=${found ? looked(found) : undefined} aria-label="Rows compared"></progress><p class="muted">${found ? `${looked(found)} of ${many(found.of, 'row')}` : 'Asking your API, row by row…'}</p></div>`}
    ${error && !wrong(error, 'ids') && !wrong(error, 'at') && html`<${Failure} error=${error} />`}
    <div aria-live="polite">${found && !busy && html`<${Verdict} of=${found} left=${rest.length} />`}</div>
    ${!busy && rest.length > 0 && html`<p><button type="button" onClick=${() => ask({ ids: rest }, found)}>Go on with ${many(rest.length, 'row')}</button></p>`}
    ${found && html`<${Found} of=${found} />`}</section>`;
}

/** What the API says of a field of the request. */
const wrong = (e, field) => (e?.status === 422 && e.errors.find((x) => x.field?.startsWith(field))?.detail) || '';

function Verdict({ of, left }) {
  const [state, word] = of.different ? ['failed', 'different'] : of.failed.length ? ['failed', 'not compared'] : of.rows ? ['done', 'equal'] : ['warning', 'nothing to compare'];
  return html`<p><${State} of=${state} word=${word} /> ${many(of.rows, 'row')} compared, ${of.different} different${left ? `, ${left} not reached` : ''}.</p>`;
}

function Found({ of }) {
  return html`${of.fields.map((f) => html`<div class="callout differs" key=${f.path}><p><strong><code>${f.path}</code></strong> <span class="muted">differs in ${f.rows} of ${many(of.rows, 'row')}</span></p>
      ${f.hint && html`<p>Hint: ${f.hint}</p>`}
      <table class="rows"><caption class="off">${f.path}</caption><thead><tr><th scope="col">Row</th><th scope="col" class="wide">The hook says</th><th scope="col" class="wide">Your API says</th></tr></thead>
      <tbody>${f.examples.map((e) => html`<tr><td data-label="Row" class="first"><bdi>${e.key}</bdi>${e.path !== f.path && html`<span class="under">${e.path}</span>`}</td><td data-label="The hook says" class="wide">${json(e, 'ours')}</td><td data-label="Your API says" class="wide">${json(e, 'api')}</td></tr>`)}</tbody></table></div>`)}
    ${of.failed.length > 0 && html`<div class="callout warn-box"><p>${many(of.failed.length, 'row')} could not be compared:</p>${of.failed.slice(0, 5).map((x) => html`<p><bdi>${x.key}</bdi>: ${x.error}</p>`)}</div>`}
    ${of.not_found.length > 0 && html`<p class="callout">Your API does not know ${few(of.not_found)}: not there, or not visible to the login of <code>app.headers</code>.</p>`}
    ${of.not_instances.length > 0 && html`<p class="callout">No instances by the mapping, so nothing is sent for them: ${few(of.not_instances)}. <code>where</code> does not hold, or <code>delete_when</code> does.</p>`}
    ${of.from_api?.length > 0 && html`<p class="hint">Equal by themselves, since they are taken from the API: ${of.from_api.join(', ')}.</p>`}`;
}
