// What mends a fault: its text, and beside it each command and each piece of SQL in it, to be copied.
import { html } from '../site/vendor/htm@3.1.1/standalone.module.js';
import { root } from './router.js';
import { Code } from './ui.js';

// The values of flags are named, so that no word of the sentence behind is taken for one.
const flag = String.raw`--(?:config [\w./-]+|resource [\w-]+|max-in-flight N|batch max=N|[a-z][a-z-]*)`;
const command = new RegExp([
  String.raw`\browhook (?:check|status|resume|drain|(?:subscription|delivery|dead-letter) [a-z]+)\b(?: (?:${flag}|sub_\w+|[A-Z]{2,}\b))*`,
  String.raw`\b(?:ALTER|SELECT|CREATE|GRANT|DROP|UPDATE) [^;]+;(?:\s+(?:ALTER|SELECT|CREATE|GRANT|DROP|UPDATE) [^;]+;)*`,
  String.raw`\b(?:timedatectl set-ntp true|chronyc tracking|date -u|curl -v \S+|kill -HUP \S+)`,
].join('|'), 'g');

/** The commands and the SQL that a text names, each once. */
export const commandsIn = (text) => [...new Set([...String(text).matchAll(command)].map((m) => m[0]))];

/** A text in which ids of subscriptions lead to their pages. */
export const Linked = ({ text }) => String(text).split(/(\bsub_[a-z2-7]{26}\b)/).map((t, i) => (i % 2 ? html`<a href=${`${root}/subscriptions/${t}`}>${t}</a>` : t));

export function Mend({ text }) {
  const found = commandsIn(text);
  const alone = found.length === 1 && found[0] === text.trim();
  return html`${!alone && html`<p class="mend"><${Linked} text=${text} /></p>`}${found.map((c) => html`<${Code} text=${c} label="What mends it" lines=${false} />`)}`;
}
