// What is said while rowhook does not answer. The page keeps what it knew.
import { html, useEffect, useState } from '../site/vendor/htm@3.1.1/standalone.module.js';
import { awaySince, look } from './api.js';
import { stamp } from './format.js';
import { Code, State } from './ui.js';

/** Since when rowhook does not answer, 0 while it does. */
export function useAway() {
  const [since, set] = useState(awaySince);
  useEffect(() => {
    const f = () => set(awaySince());
    f();
    addEventListener('rowhook-reach', f);
    return () => removeEventListener('rowhook-reach', f);
  }, []);
  return since;
}

export function Away() {
  const since = useAway();
  // Not every page asks again by itself.
  useEffect(() => {
    const timer = setInterval(() => document.hidden || look(), since ? 2000 : 5000);
    return () => clearInterval(timer);
  }, [since]);
  if (!since) return null;
  return html`<section class="failure away" role="alert"><p><${State} of="error" word="rowhook does not answer" /> <span>since ${stamp(since)}</span></p>
    <p>What the page shows is from before. No event is lost: what is committed meanwhile stays in the slot, and is sent when rowhook runs again. The page goes on by itself then.</p>
    <p>Start it, or mend the network between here and it. A rowhook that ends again has said why in the last lines of its log: a wrong <code>store.encryption_key</code> or password, or a mistake in the config. On its machine, this says what is wrong, also where no rowhook answers:</p>
    <${Code} label="The command" text="rowhook status --config config.yaml" lines=${false} /></section>`;
}
