// Resources: what a row becomes, and a playground in which a changed mapping shows what it would make of a live row.
import { html, useEffect, useRef, useState } from '../../site/vendor/htm@3.1.1/standalone.module.js';
import { call, get, part } from '../api.js';
import { count, many } from '../format.js';
import { root } from '../router.js';
import { Compare } from './compare.js';
import { Code, Empty, Facts, Failure, Head, Input, Json, Loading, Select, State, Table, useLoad, useSettled, useTitle } from '../ui.js';

export function Resources() {
  useTitle('Resources');
  const { data, error, loading, reload } = useLoad(async (signal) => call('GET', '/resource/', { signal }), []);
  const [text, set] = useState('');
  const rows = (data?.data || []).filter((r) => !text || r.name.includes(text.toLowerCase()) || r.table.includes(text.toLowerCase()));
  return html`<${Head} title="Resources" sub="Which rows become which events, and what they say." />
    ${data?.data.length > 8 && html`<div class="bar"><input type="search" class="search" data-search aria-label="Name or table" placeholder="Name or table" value=${text} onInput=${(e) => set(e.target.value)} /></div>`}
    <${Failure} error=${error} again=${reload} />${!data && loading && html`<${Loading} />`}
    ${data && data.data.length === 0 && html`<${Empty} title="No resources are mapped"><p>This prints a config to begin with, made from the tables of your database:</p><${Code} label="The command" text="rowhook init --database-url $DATABASE_URL" /><//>`}
    ${data && data.data.length > 0 && rows.length === 0 && html`<p class="muted">None is called so.</p>`}
    ${rows.length > 0 && html`<${Table} label="Resources" rows=${rows} id=${(r) => r.name} columns=${[
      { name: 'Resource', cell: (r) => html`<a href=${`${root}/resources/${encodeURIComponent(r.name)}`}>${r.name}</a>` },
      { name: 'Table', cell: (r) => html`<code>${r.table}</code>` },
      { name: 'State', wide: true, cell: (r) => html`<${State} of=${r.fit ? 'fits' : 'does not fit'} />${r.reason && html`<span class="under">${r.reason}</span>`}` },
      { name: 'Account', cell: (r) => (r.account ? html`<code>${r.account}</code>` : html`<span class="muted">none</span>`) },
      { name: 'Events', num: true, cell: (r) => count(r.events.length) },
    ]} />`}`;
}

export function Resource({ name }) {
  useTitle(name);
  const url = `/resource/${part(name)}/`;
  const { data: r, error, reload } = useLoad(async (signal) => (await get(url, null, signal)).data, [name]);
  // The body of a row is asked for beside what it is made by: that it will be shown is known.
  const first = useRef(undefined);
  if (first.current === undefined) {
    first.current = call('POST', url + 'preview', { body: { event: name + '.update' }, exact: true });
    first.current.catch(() => { /* who takes it hears of it */ });
  }
  if (!r) {
    return error?.status === 404 ? html`<${Head} title="No such resource" /><${Empty} title="It is not mapped"><p>The config has no resource of this name. <a href=${root + '/resources'}>All resources</a></p><//>`
      : html`<${Head} title=${name} />${error ? html`<${Failure} error=${error} again=${reload} />` : html`<${Loading} />`}`;
  }
  return html`<${Head} title=${r.name} crumbs=${html`<a href=${root + '/resources'}>Resources</a>`} sub=${html`<${State} of=${r.fit ? 'fits' : 'does not fit'} /><code>${r.table}</code><span>key ${r.key.join(', ')}</span><span>${r.account ? html`account <code>${r.account}</code>` : 'of no account'}</span>`} />
    ${r.reason && html`<div class="callout warn-box"><p>${r.reason}</p></div>`}
    <${Playground} r=${r} url=${url} first=${first} />
    <section><h2>Events</h2><${Table} label="Events" rows=${r.events} id=${(e) => e.name} columns=${[
      { name: 'Event', cell: (e) => html`<code>${e.name}</code>` }, { name: 'For whom', wide: true, cell: (e) => (e.admin_only ? html`the admin only<span class="under">${e.reason || ''}</span>` : 'everybody') }]} /></section>
    ${(r.relations?.length > 0 || r.from_api?.length > 0) && html`<section><h2>What else it is made of</h2><${Facts} of=${[['Relations', r.relations?.length ? r.relations.join(', ') : undefined], ['From the API', r.from_api?.length ? r.from_api.join(', ') : undefined]]} /></section>`}
    <${Compare} r=${r} url=${url} />`;
}

const text = (v) => (v === undefined ? '' : typeof v === 'string' ? v : JSON.stringify(v, null, 1));
/** The events that a row can have. */
const events = (r) => {
  const names = r.events.map((e) => e.name).filter((n) => !n.endsWith('.truncate'));
  return names.length ? names : ['create', 'update', 'delete'].map((n) => `${r.name}.${n}`);
};
export const Diff = ({ of }) => html`<div class="diff">${of.map((d) => html`<div><strong>${d.path}</strong><span>${'was' in d ? html`<del>${text(d.was)}</del>` : ''}${'is' in d ? html`<ins>${text(d.is)}</ins>` : ''}</span></div>`)}</div>`;

/** Why there is no mapping to change. */
const Unfiled = () => html`<div><p>This rowhook runs without a config file, as <code>rowhook dev</code> does: the resource is what its table gives, and there is no mapping to change here.
  This prints a config to begin with, made from the tables of your database:</p><br /><${Code} label="The command" text="rowhook init --database-url $DATABASE_URL" /></div>`;

function Playground({ r, url, first }) {
  const filed = r.yaml !== undefined;
  const [yaml, setYaml] = useState(r.yaml);
  useEffect(() => setYaml(r.yaml), [r.yaml]);
  const [id, setId] = useState('');
  const [event, setEvent] = useState(`${r.name}.update`);
  const changed = yaml !== r.yaml;
  const asked = useSettled(JSON.stringify({ yaml, id, event }), 350);
  const { data: last, error, loading } = useLoad(async (signal) => {
    const a = JSON.parse(asked);
    const body = { event: a.event };
    if (a.id.trim()) body.id = a.id.trim();
    if (a.yaml !== r.yaml) body.mapping = a.yaml;
    const begun = first.current;
    first.current = null;
    if (begun && !body.id && !body.mapping && body.event === r.name + '.update') return (await begun).data;
    return (await call('POST', url + 'preview', { body, signal, exact: true })).data;
  }, [asked]);
  // What an answer before has made stands under no error, and its mistakes at no other mapping.
  const data = error ? null : last;
  const problems = (changed && last?.problems) || [];
  const area = useRef(null);
  const jump = (p) => {
    const el = area.current?.querySelector('textarea');
    if (!el) return;
    const before = yaml.split('\n').slice(0, p.line - 1).join('\n').length + (p.line > 1 ? 1 : 0);
    el.focus();
    el.setSelectionRange(before + p.column - 1, before + p.column);
  };
  const notes = data?.changed?.notes || data?.now?.notes || [];
  const idWrong = error?.status === 404 ? error.message : error?.status === 422 ? error.errors[0]?.detail || error.message : '';
  return html`<section><h2>Playground</h2>
    <p class="sub">${filed ? 'Change the mapping: what it makes of a live row stands beside it at once. Nothing is stored or sent.' : 'What the mapping makes of a live row. Nothing is stored or sent.'}</p><br />
    <div class="two">
      ${filed ? html`<div ref=${area}>
        <div class="field"><label for="yaml">Mapping${r.line ? `, line ${r.line} of the config` : ''}</label>
          <textarea id="yaml" rows=${Math.min(Math.max(r.yaml.split('\n').length + 1, 8), 26)} value=${yaml} spellcheck=${false} aria-invalid=${problems.length ? 'true' : undefined} aria-describedby="problems" onInput=${(e) => setYaml(e.target.value)}></textarea></div>
        <ul class="problems" id="problems" aria-live="polite">${problems.map((p) => html`<li><button type="button" class="quiet" onClick=${() => jump(p)}>Line ${p.line}, column ${p.column}: ${p.what}</button>${p.mend && html`<p class="hint">${p.mend}</p>`}</li>`)}</ul>
        ${changed && html`<div class="actions"><button type="button" onClick=${() => setYaml(r.yaml)}>Back to the config</button><span class="hint">To keep it, put it into the config file, then reload.</span></div>`}
      </div>` : html`<${Unfiled} />`}
      <div>
        <div class="form">
          <${Input} label="Row" hint=${data?.id ? html`Shown: <bdi>${data.id}</bdi>` : 'Empty: the one with the highest key.'} value=${id} set=${setId} placeholder="42" wrong=${idWrong} />
          <${Select} label="Event" value=${event} set=${setEvent} options=${events(r)} />
        </div><br />
        <div aria-live="polite" class="off">${data && changed && !data.problems?.length ? many(data.diff?.length || 0, 'difference') : ''}</div>
        ${error && !idWrong && html`<${Failure} error=${error} />`}
        ${!data && !error && loading && html`<${Loading} />`}
        ${notes.map((n) => html`<p class="callout">${n}</p>`)}
        ${data?.masked?.length > 0 && html`<p class="callout">The mapping as it runs sends nothing of ${data.masked.join(', ')}: placeholders stand for what is in there.</p>`}
        ${data && changed && !data.problems?.length && html`<p class="label">${data.diff?.length ? 'What changes' : 'Nothing changes'}</p>${data.diff?.length > 0 && html`<${Diff} of=${data.diff} /><br />`}`}
        ${data?.changed?.body && html`<p class="label">The body it would make</p><${Json} value=${data.changed.body} label="The changed body" /><br />`}
        ${data?.now?.body && !data.changed && html`<p class="label">The body as it is sent now</p><${Json} value=${data.now.body} label="The body now" />`}
        ${data && !data.now && !data.changed && !data.problems?.length && !notes.length && html`<p class="muted">There is no row yet.</p>`}
      </div>
    </div></section>`;
}
