// Replays and backfills: how far they are.
import { html } from '../../site/vendor/htm@3.1.1/standalone.module.js';
import { call, part } from '../api.js';
import { count } from '../format.js';
import { root } from '../router.js';
import { Button, State, Table, When, say } from '../ui.js';

export const ended = (job) => ['done', 'failed', 'cancelled'].includes(job.state);

function Progress({ job }) {
  const share = job.total > 0 ? Math.min(job.done / job.total, 1) : null;
  return html`<div class="progress">
    ${!ended(job) && (share === null ? html`<progress aria-label="Progress"></progress>` : html`<progress aria-label="Progress" max="1" value=${share}></progress>`)}
    <span>${count(job.done)}${job.total === null ? '' : ` of ${job.resources?.some((r) => r.estimated) ? 'about ' : ''}${count(job.total)}`} ${job.kind === 'backfill' ? 'rows' : 'events'}</span>
    ${job.error && html`<span class="mistake">${job.error}</span>`}
    ${(job.resources || []).filter((r) => r.failed > 0).map((r) => html`<span class="mistake">${r.resource}: ${count(r.failed)} left out${r.failure ? `: ${r.failure}` : ''}</span>`)}
  </div>`;
}

export function JobTable({ jobs, named, writable, again, now }) {
  const cancel = (job) => async () => {
    await call('DELETE', `/job/${part(job.id)}/`);
    say(`The ${job.kind} is cancelled. What it has queued is sent.`);
    await again?.();
  };
  return html`<${Table} label="Jobs" rows=${jobs} id=${(j) => j.id} columns=${[
    { name: 'Job', cell: (j) => (named ? html`<a href=${`${root}/subscriptions/${j.subscription}/again`}>${j.kind}</a>` : html`<span>${j.kind}</span>`) },
    { name: 'State', cell: (j) => html`<${State} of=${j.state} />` },
    { name: 'Progress', wide: true, cell: (j) => html`<${Progress} job=${j} />` },
    { name: 'Asked for', cell: (j) => html`<${When} at=${j.created_at} now=${now} /><span class="under">by ${j.requested_by || 'somebody'}</span>` },
    writable && { name: 'Cancel', cell: (j) => !ended(j) && html`<${Button} kind="danger" act=${cancel(j)}>Cancel<//>` },
  ].filter(Boolean)} />`;
}
