// Runs before anything is drawn, and before the modules are there.
(() => {
  const kept = (name) => {
    try { return localStorage.getItem(name); } catch { return null; /* storage is switched off: the system's theme, and nothing is asked for early */ }
  };
  // Nobody who has chosen a theme sees the other one first.
  const theme = kept('rowhook-theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;

  // Every page begins with who is signed in, and for somebody who is, with what the page asks for first. That is on its way while the modules are
  // read; api.js takes it up. A request that differs from the page's own is for nothing, and a test tells.
  const base = document.querySelector('meta[name="rowhook-base"]').content.replace(/\/+$/, '');
  const asked = globalThis.rowhookAsked = new Map();
  const ask = (path, query = {}) => {
    const url = new URL(base + path, location.origin);
    for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
    // Read to its end at once: an answer that nobody reads yet, of a tab behind others, keeps a connection from them.
    const answer = fetch(url, { headers: { Accept: 'application/json' }, credentials: 'same-origin' }).then(async (a) => {
      const text = await a.text();
      return { ok: a.ok, status: a.status, headers: a.headers, text: () => text };
    });
    answer.catch(() => { /* who takes it up hears of it */ });
    asked.set(url.href, { answer, at: Date.now() });
  };
  ask('/session');
  const role = kept('rowhook-role');
  if (!role) return;
  const [page, id, tab] = location.pathname.replace(/^\/console\/*/, '').split('/');
  const q = new URLSearchParams(location.search);
  const as = (...names) => Object.fromEntries(names.map((n) => [n, q.get(n)?.trim()]));
  if (page === '' && role === 'admin') ask('/status');
  if (page === 'subscriptions' && !id) ask('/subscription/', { limit: 50, ...as('search', 'state', 'failing', 'event', ...(role === 'admin' ? ['account'] : []), 'after') });
  if (page === 'subscriptions' && id?.startsWith('sub_')) {
    ask(`/subscription/${id}/`);
    if (tab !== 'edit') ask(`/subscription/${id}/stats`);
  }
  if (page === 'deliveries' && id) ask(`/delivery/${id}/`);
  if (page === 'events' && !q.get('event')) ask('/event/', { limit: 50, ...as('resource_id', 'before'), type: q.get('type') || (q.get('resource') && q.get('resource') + '.*') });
  if (page === 'resources' && role === 'admin') ask(id ? `/resource/${id}/` : '/resource/');
})();
