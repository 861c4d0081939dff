// Pages are paths under /console/, and what they are filtered by is the query: every view can be sent to a colleague.
import { useEffect, useState } from '../site/vendor/htm@3.1.1/standalone.module.js';

export const root = '/console';

const here = () => ({ url: location.href, path: location.pathname.slice(root.length).replace(/\/+$/, '') || '/', query: new URLSearchParams(location.search) });

const listeners = new Set();
const tell = () => listeners.forEach((f) => f());

/** Goes to a page: a path without /console, with its query. */
export function go(to, { replace = false } = {}) {
  const url = root + to;
  if (url === location.pathname + location.search) return tell();
  history[replace ? 'replaceState' : 'pushState'](null, '', url);
  tell();
}

/** Changes what the page is filtered by, in its place in the history. Empty values are left out. */
export function refine(values, { push = false } = {}) {
  const at = here();
  for (const [name, value] of Object.entries(values)) {
    if (value === '' || value === null || value === undefined) at.query.delete(name);
    else at.query.set(name, value);
  }
  const text = at.query.toString();
  go((at.path === '/' ? '/' : at.path) + (text ? '?' + text : ''), { replace: !push });
}

export function useLocation() {
  const [at, set] = useState(here);
  useEffect(() => {
    const f = () => set(here());
    listeners.add(f);
    addEventListener('popstate', f);
    // Somebody may have been faster than this.
    set((was) => (was.url === location.href ? was : here()));
    return () => {
      listeners.delete(f);
      removeEventListener('popstate', f);
    };
  }, []);
  return at;
}

// Plain links are links: they can be opened in a tab of their own, and are followed here otherwise.
addEventListener('click', (e) => {
  if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
  const a = e.target instanceof Element && e.target.closest('a[href]');
  if (!a || a.target || a.origin !== location.origin || !a.pathname.startsWith(root)) return;
  if (a.hash && a.pathname === location.pathname) return;
  e.preventDefault();
  go(a.pathname.slice(root.length) + a.search || '/');
});
