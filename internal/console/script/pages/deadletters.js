// Dead letters: changes that could not be made into events.
import { html, useState } from '../../site/vendor/htm@3.1.1/standalone.module.js';
import { call, get, part, post } from '../api.js';
import { many, stamp } from '../format.js';
import { refine, root } from '../router.js';
import { Button, Code, Confirm, Empty, Facts, Failure, Head, Id, Loading, Pager, State, Table, When, say, useLoad, useNow, useTitle } from '../ui.js';

export function DeadLetters({ at, writable }) {
  useTitle('Dead letters');
  const now = useNow(5000);
  const q = at.query;
  const [asks, ask] = useState(false);
  const state = q.get('state') ?? 'open';
  const query = { limit: 50, state: state === 'all' ? '' : state, resource: q.get('resource'), reason: q.get('reason'), after: q.get('after') };
  const { data, error, loading, reload } = useLoad(async (signal) => call('GET', '/dead-letter/', { query, signal }), [q.toString()], { every: 5000 });
  const rows = data?.data || [];
  const next = data?.next && new URL(data.next, location.origin).searchParams.get('after');
  return html`
    <${Head} title="Dead letters" sub="Changes that could not be mapped. The stream went on; these wait for a mended mapping.">
      ${writable && rows.some((l) => l.state === 'open') && html`<button type="button" onClick=${() => ask(true)}>Replay ${q.get('reason') || q.get('resource') ? 'these' : 'all'}…</button>`}<//>
    <div class="bar" role="search" aria-label="Dead letters">
      <input type="search" class="search" data-search aria-label="A text in the reason" placeholder="A text in the reason" value=${q.get('reason') || ''} onChange=${(e) => refine({ reason: e.target.value.trim(), after: '' })} />
      <select aria-label="State" onChange=${(e) => refine({ state: e.target.value === 'open' ? '' : e.target.value, after: '' })}>${[['open', 'Open'], ['closed', 'Closed'], ['all', 'All']].map(([v, w]) => html`<option value=${v} selected=${v === state}>${w}</option>`)}</select>
      <input type="text" aria-label="Resource" placeholder="Resource" value=${q.get('resource') || ''} onChange=${(e) => refine({ resource: e.target.value.trim(), after: '' })} />
    </div>
    <${Failure} error=${error} again=${reload} />
    ${!data && loading && html`<${Loading} />`}
    ${data && rows.length === 0 && html`<${Empty} title=${state === 'open' && !q.get('reason') && !q.get('resource') ? 'No dead letters' : 'None fits'}><p>${state === 'open' && !q.get('reason') && !q.get('resource') ? 'Every change could be mapped. One that cannot is kept here with its reason, and can be replayed when the mapping is mended.' : 'None is like that.'}</p><//>`}
    ${rows.length > 0 && html`<${Table} label="Dead letters" rows=${rows} id=${(l) => l.id} columns=${[
      { name: 'Change', cell: (l) => html`<a href=${`${root}/dead-letters/${l.id}`}><bdi>${l.type || l.resource} ${l.instance}</bdi></a><span class="under">${l.op}</span>` },
      { name: 'State', cell: (l) => html`<${State} of=${l.requested_at ? 'queued' : l.state} word=${l.requested_at ? 'replay asked for' : l.state === 'closed' ? l.closed_reason || 'closed' : undefined} />` },
      { name: 'Reason', wide: true, cell: (l) => html`<span class="clip"><bdi>${l.reason}</bdi></span>` },
      { name: 'Tries', num: true, cell: (l) => String(l.tries) },
      { name: 'Committed', num: true, cell: (l) => html`<${When} at=${l.committed_at} now=${now} />` },
    ]} />`}
    <${Pager} next=${next} newest=${q.get('after')} onNext=${() => refine({ after: next }, { push: true })} onNewest=${() => refine({ after: '' }, { push: true })} />
    ${asks && html`<${ReplayAll} q=${q} close=${() => ask(false)} done=${reload} />`}`;
}

function ReplayAll({ q, close, done }) {
  const select = {};
  for (const name of ['resource', 'reason']) if (q.get(name)) select[name] = q.get(name);
  if (Object.keys(select).length === 0) select.all = true;
  const { data, error } = useLoad(async () => (await post('/dead-letter/replay', { ...select, dry_run: true })).data, []);
  return html`<${Confirm} title="Replay dead letters" word="Replay" close=${close} act=${async () => {
    const n = (await post('/dead-letter/replay', select)).data.count;
    say(`The replay of ${many(n, 'dead letter')} is asked for.`);
    await done();
  }}><p>Their rows are read as they are now, and mapped again. Mend the mapping first: what fails again stays here.</p><${Failure} error=${error} />
    ${data && html`<p><strong>${many(data.count, 'dead letter')}</strong> ${data.count === 1 ? 'is' : 'are'} open${select.all ? '' : ' and like that'}.</p>`}<//>`;
}

export function DeadLetter({ id, writable }) {
  const now = useNow();
  const [asks, ask] = useState(false);
  const url = `/dead-letter/${part(id)}/`;
  const { data: l, error, reload, put } = useLoad(async (signal) => (await get(url, null, signal)).data, [id], { every: 2000 });
  useTitle('Dead letter');
  if (!l) {
    return error?.status === 404 ? html`<${Head} title="No such dead letter" /><${Empty} title="It is not there"><p>It is older than the retention. <a href=${root + '/dead-letters'}>All dead letters</a></p><//>`
      : html`<${Head} title="Dead letter" />${error ? html`<${Failure} error=${error} again=${reload} />` : html`<${Loading} />`}`;
  }
  return html`
    <${Head} title=${html`<bdi>${l.type || l.resource} ${l.instance}</bdi>`} crumbs=${html`<a href=${root + '/dead-letters'}>Dead letters</a>`}
      sub=${html`<${State} of=${l.state} word=${l.state === 'closed' ? l.closed_reason : undefined} /><span>${l.op}</span><span>${many(l.tries, 'try', 'tries')}</span>${l.requested_at && html`<span>a replay was asked for <${When} at=${l.requested_at} now=${now} /></span>`}`}>
      ${writable && l.state === 'open' && html`<${Button} kind="primary" act=${async () => { put((await post(url + 'replay')).data); say('Its replay is asked for.'); }}>Replay<//>
        <button type="button" class="danger" onClick=${() => ask(true)}>Discard…</button>`}<//>
    <div class="callout warn-box"><p><strong>Why</strong></p><p><bdi>${l.reason}</bdi></p></div>
    ${l.state === 'open' && html`<p>Mend the mapping of <a href=${`${root}/resources/${encodeURIComponent(l.resource)}`}>${l.resource}</a>, try it there on this very row, reload the config, then replay.</p><br />`}
    <${Facts} of=${[['Committed', stamp(l.committed_at)], ['Found', stamp(l.created_at)], ['Closed', l.closed_at ? `${stamp(l.closed_at)}${l.closed_by ? ` by ${l.closed_by}` : ''}` : undefined], ['Event', html`<${Id}>${l.event_id}<//>`], ['Position', html`<${Id}>${l.id}<//>`],
      l.instance ? ['What happened to it', html`<a href=${`${root}/events?resource=${encodeURIComponent(l.resource)}&resource_id=${encodeURIComponent(l.instance)}`}>all of <bdi>${l.resource} ${l.instance}</bdi></a>`] : null]} />
    <section><h2>The same from a shell</h2><${Code} label="The commands" text=${`rowhook dead-letter get ${l.id}\nrowhook dead-letter replay ${l.id}`} /></section>
    ${asks && html`<${Confirm} title="Discard this dead letter" word="Discard" danger=${true} close=${() => ask(false)} act=${async () => {
      await call('DELETE', url);
      say('It is discarded: its event is never sent.');
      await reload();
    }}><p>Its event is never sent, also when the mapping is mended. Later changes of the row are sent as always.</p><//>`}`;
}
