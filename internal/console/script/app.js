// The console: a shell with a page in it.
import { html, render, useEffect, useErrorBoundary, useLayoutEffect, useRef, useState } from '../site/vendor/htm@3.1.1/standalone.module.js';
import { Problem, call, get, signed } from './api.js';
import { Away, useAway } from './away.js';
import { onToken, take } from './invitation.js';
import { Keyboard } from './keyboard.js';
import { DeadLetters, DeadLetter } from './pages/deadletters.js';
import { Delivery } from './pages/delivery.js';
import { Events } from './pages/events.js';
import { Login } from './pages/login.js';
import { Overview } from './pages/overview.js';
import { Resource, Resources } from './pages/resources.js';
import { SubscriptionForm } from './pages/subscriptionform.js';
import { Subscription } from './pages/subscription.js';
import { Subscriptions } from './pages/subscriptions.js';
import { System } from './pages/system.js';
import { go, root, useLocation } from './router.js';
import { Button, Empty, Failure, Head, Notices, State, complaint, say, useTitle } from './ui.js';

const Logo = () => html`<svg class="logo" viewBox="0 0 32 32" width="26" height="26" aria-hidden="true"><rect width="32" height="32" rx="7" fill="var(--accent)" />
  <g fill="none" stroke="var(--on-accent)" stroke-width="2.600" stroke-linecap="round"><path d="M7 9h18" opacity=".55" />
  <path d="M7 15h11.500a4.750 4.750 0 0 1 0 9.500h-1.500a4 4 0 0 1-4-4" /><path d="m10 23 3-3 3 3" stroke-linejoin="round" /></g></svg>`;

/** The pages that somebody may see. What only the admin may see is not there for others. */
function pagesOf(session) {
  const admin = session.role === 'admin';
  const has = (f) => session.features.includes(f);
  return [
    admin && has('status') && { key: 'o', to: '/', name: 'Overview' },
    { key: 's', to: '/subscriptions', name: 'Subscriptions' },
    has('feed') && { key: 'e', to: '/events', name: 'Events' },
    admin && has('system') && { key: 'r', to: '/resources', name: 'Resources' },
    admin && has('dead_letters') && { key: 'd', to: '/dead-letters', name: 'Dead letters' },
    admin && has('system') && { key: 'y', to: '/system', name: 'System' },
  ].filter(Boolean);
}

function ThemeSwitch() {
  const [theme, set] = useState(document.documentElement.dataset.theme || 'auto');
  const choose = (to) => {
    set(to);
    if (to === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = to;
    try {
      if (to === 'auto') localStorage.removeItem('rowhook-theme');
      else localStorage.setItem('rowhook-theme', to);
    } catch { /* it holds until the page is left */ }
    dispatchEvent(new Event('rowhook-theme'));
  };
  return html`<div class="themes" role="group" aria-label="Theme">${[['auto', 'Auto'], ['light', 'Light'], ['dark', 'Dark']].map(([value, word]) =>
    html`<button type="button" class="quiet" aria-pressed=${theme === value ? 'true' : 'false'} onClick=${() => choose(value)}>${word}</button>`)}</div>`;
}

function Page({ session, at, pages }) {
  const parts = at.path.split('/').slice(1).map(decodeURIComponent);
  const writable = !session.read_only;
  const may = (to) => pages.some((p) => p.to === to);
  const common = { session, at, writable, admin: session.role === 'admin' };
  switch (parts[0]) {
    case '':
      if (may('/')) return html`<${Overview} ...${common} />`;
      break;
    case 'subscriptions':
      if (!parts[1]) return html`<${Subscriptions} ...${common} />`;
      if (parts[1] === 'new' && writable) return html`<${SubscriptionForm} key="new" ...${common} />`;
      if (parts[2] === 'edit' && writable) return html`<${SubscriptionForm} key=${parts[1]} id=${parts[1]} ...${common} />`;
      // Who may only read has neither of these two pages.
      if (parts[1] === 'new' || !['', 'waiting', 'again', 'settings'].includes(parts[2] || '') || parts[3]) break;
      return html`<${Subscription} key=${parts[1]} id=${parts[1]} tab=${parts[2] || ''} ...${common} />`;
    case 'deliveries':
      if (parts[1]) return html`<${Delivery} key=${parts[1]} id=${parts[1]} ...${common} />`;
      break;
    case 'events':
      if (may('/events')) return html`<${Events} ...${common} />`;
      break;
    case 'resources':
      if (may('/resources')) return parts[1] ? html`<${Resource} key=${parts[1]} name=${parts[1]} ...${common} />` : html`<${Resources} ...${common} />`;
      break;
    case 'dead-letters':
      if (may('/dead-letters')) return parts[1] ? html`<${DeadLetter} key=${parts[1]} id=${parts[1]} ...${common} />` : html`<${DeadLetters} ...${common} />`;
      break;
    case 'system':
      if (may('/system')) return html`<${System} ...${common} />`;
      break;
  }
  return html`<${Nowhere} />`;
}

/** A page that throws leaves its error in its place, not what it had shown before: another page, or another try, begins anew. */
function Guard({ children }) {
  const [error, again] = useErrorBoundary((e) => console.error(e));
  if (!error) return children;
  return html`<${Head} title="This page has broken" /><div class="failure" role="alert"><p><${State} of="error" word="A mistake of the console" /></p>
    <p>It cannot show what it was given; rowhook itself goes on. Report it with this text, please: <code>${String(error?.message || error)}</code></p><${Button} act=${again}>Try again<//></div>`;
}

function Nowhere() {
  useTitle('No such page');
  return html`<${Head} title="No such page" /><${Empty} title="There is nothing at this address">
    <p>It may belong to somebody else, or the link is cut off. <a href=${root + '/subscriptions'}>Go to the subscriptions</a>.</p><//>`;
}

function Shell({ session, out }) {
  const at = useLocation();
  const pages = pagesOf(session);
  const [open, setOpen] = useState(false);
  const first = useRef(true);
  useEffect(() => {
    if (at.path === '/' && !pages.some((p) => p.to === '/')) go('/subscriptions', { replace: true });
  }, [at.path]);
  // Another page begins at its top, and its headline is read out.
  useLayoutEffect(() => {
    setOpen(false);
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    if (!new URLSearchParams(location.search).has('find')) document.querySelector('main h1')?.focus({ preventScroll: true });
  }, [at.path]);
  // The token of a link is not kept for whoever comes to the log-in next.
  useEffect(() => {
    const refuse = () => {
      if (take()) say('You are signed in already. To use the token of the link, sign out, then follow it again.');
    };
    refuse();
    return onToken(refuse);
  }, []);
  const here = (to) => (to === '/' ? at.path === '/' : at.path === to || at.path.startsWith(to + '/') || (to === '/subscriptions' && at.path.startsWith('/deliveries/')));
  return html`<div class="shell">
    <a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.getElementById('main').focus(); }}>Skip to the page</a>
    <header class="rail">
      <div class="brand"><a href=${root + '/'} aria-label="rowhook"><${Logo} /><span>rowhook</span></a>
        <button type="button" class="menu quiet" aria-expanded=${open ? 'true' : 'false'} aria-controls="nav" onClick=${() => setOpen(!open)}>Menu</button></div>
      <div id="nav" class=${open ? 'drawer open' : 'drawer'}>
        <nav aria-label="Pages"><ul>${pages.map((p) => html`<li><a href=${root + p.to} aria-current=${here(p.to) ? 'page' : undefined}>${p.name}<kbd aria-hidden="true">g ${p.key}</kbd></a></li>`)}</ul></nav>
        <div class="me">
          <p><strong>${session.name || 'logged in'}</strong><span>${session.role === 'admin' ? 'every account' : `account ${session.account}`}${session.read_only ? ', reads only' : ''}</span></p>
          <${ThemeSwitch} />
          <${Button} kind="quiet out" act=${out}>Sign out<//>
          <p class="version"><span title=${session.version}>${session.version}</span> <kbd>?</kbd> keys</p>
        </div>
      </div>
    </header>
    <main id="main" tabindex="-1"><${Away} /><${Guard} key=${at.path}><${Page} session=${session} at=${at} pages=${pages} /><//></main>
    <${Notices} />
    <${Keyboard} pages=${pages} writable=${!session.read_only} />
  </div>`;
}

function Console() {
  const [session, set] = useState(undefined);
  const [error, fail] = useState(null);
  const [ended, end] = useState(false);
  const away = useAway();
  const load = async () => {
    fail(null);
    try {
      set((await get('/session')).data);
    } catch (e) {
      if (e instanceof Problem && e.status === 401) set(null);
      else fail(e);
    }
  };
  if (session !== undefined) signed(session?.role);
  useLayoutEffect(() => {
    load();
    const out = () => {
      end(true);
      set(null);
    };
    addEventListener('rowhook-out', out);
    return () => removeEventListener('rowhook-out', out);
  }, []);
  const out = async () => {
    let untold = '';
    try {
      await call('DELETE', '/session');
    } catch (e) {
      // The cookie is gone all the same.
      if (e.status !== 503 || e.away) throw e;
      untold = complaint(e);
    }
    end(untold);
    set(null);
  };
  useEffect(() => {
    if (!away && error) load();
  }, [away]);
  if (error) return html`<main class="alone"><${Logo} /><h1>rowhook</h1><${Away} /><${Failure} error=${error} again=${load} /></main>`;
  if (session === undefined) return html`<main class="alone" aria-busy="true"></main>`;
  if (session === null) return html`<${Login} Logo=${Logo} enter=${set} ended=${ended} />`;
  return html`<${Shell} key=${session.role + session.account + session.name} session=${session} out=${out} />`;
}

render(html`<${Console} />`, document.getElementById('app'));
