// What is due, and what holds it back: a pause of everything, a subscription that is off, a target that has asked for time, or takes nothing.
import { html } from '../../site/vendor/htm@3.1.1/standalone.module.js';
import { get } from '../api.js';
import { stamp } from '../format.js';
import { Code, When, useLoad } from '../ui.js';

/** The pause of everything, or null. The admin alone may know of it. */
export function usePause(admin) {
  const { data } = useLoad(async (signal) => (admin ? (await get('/pause', null, signal)).data : null), [admin], { every: 5000 });
  return data?.paused ? data : null;
}

/** What is said while everything is paused. */
export const Paused = ({ pause, now }) => pause && html`<div class="callout warn-box"><p><strong>Nothing is sent:</strong> it was paused by <bdi>${pause.by}</bdi> <${When} at=${pause.since} now=${now} />${pause.reason ? html`: <bdi>${pause.reason}</bdi>` : ''}. What is committed waits in the store. When it may go on:</p>
  <${Code} label="The command" text="rowhook resume" lines=${false} /></div>`;

/** What holds a subscription's deliveries back, and until when; null where nothing does. One that is only slow is tried all the same. */
export function holdOf(s, stats, pause, now) {
  if (pause) return { words: 'when sending is resumed' };
  if (s && ['disabled', 'expired', 'pending'].includes(s.state)) return { words: s.state === 'pending' ? 'when its target has agreed' : `held back: the subscription is ${s.state === 'expired' ? 'over' : 'disabled'}` };
  if (stats?.paused_until && Date.parse(stats.paused_until) > now) return { words: 'held back: its target has asked for time', until: stats.paused_until };
  if (s?.failing_since || stats?.failing_since) return { words: 'due: while its target takes nothing, one after another is tried', slow: true };
  return null;
}

/** When something is tried next. A time that is past is no time: then it is due, or something holds it back. */
export function Next({ at, now, hold, none = 'when its turn comes' }) {
  if (hold && !hold.slow && !(hold.until && at && Date.parse(at) > Date.parse(hold.until))) {
    return html`<span title=${hold.until ? stamp(hold.until) : undefined}>${hold.words}${hold.until && html`, until <${When} at=${hold.until} now=${now} />`}</span>`;
  }
  if (at && Date.parse(at) > now) return html`<${When} at=${at} now=${now} />`;
  if (!at) return html`<span class="muted">${none}</span>`;
  return html`<span>${hold ? hold.words : 'due: now, when there is room'}</span>`;
}
