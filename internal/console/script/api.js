// Asking the REST API. The console uses nothing else.

/** Where the API is, without a slash at the end. */
export const base = document.querySelector('meta[name="rowhook-base"]').content.replace(/\/+$/, '');

/** An answer that is an error: what the server says of it, or that there was none. */
export class Problem extends Error {
  constructor(status, body = {}) {
    super(body.detail || body.title || (status ? `the server answered ${status}` : 'the server cannot be reached'));
    this.status = status;
    this.errors = body.errors || [];
    this.oldest = body.oldest;
    this.id = body.id;
    /** Nothing answered for rowhook. */
    this.away = status === 0;
  }
}

/** Since when nothing answers for rowhook, as milliseconds; 0 while something does. Whoever wants to know of a change listens for rowhook-reach. */
let away = 0;
export const awaySince = () => away;
function reached(yes) {
  if (yes === !away) return;
  away = yes ? 0 : Date.now();
  dispatchEvent(new Event('rowhook-reach'));
}

/** Looks whether rowhook is there, by a file of the console: that keeps no session from ending. */
export async function look() {
  try {
    const { status } = await fetch(new URL('icon.svg', import.meta.url), { method: 'HEAD', cache: 'no-store', credentials: 'omit' });
    reached(status < 502 || status > 504);
  } catch {
    reached(false);
  }
}

/** Keeps digits that a number of JavaScript does not hold, for values that are shown as JSON, and not reckoned with. */
const whole = (_, v, from) => (typeof v === 'number' && from && JSON.rawJSON && from.source.replace(/[eE].*|\D/g, '').length > 15 ? JSON.rawJSON(from.source) : v);

/** What first.js has asked for, once, and only while the page begins. */
function early(url) {
  const asked = globalThis.rowhookAsked;
  const found = asked.get(url.href);
  asked.delete(url.href);
  return found && Date.now() - found.at < 5000 ? found.answer : null;
}

/** Another, or nobody, is signed in from now on: what was asked for early was for somebody else. With a role, the next page asks early, too. */
export function signed(role) {
  if (!role) globalThis.rowhookAsked.clear();
  try {
    if (role) localStorage.setItem('rowhook-role', role);
    else localStorage.removeItem('rowhook-role');
  } catch { /* pages begin with who is signed in, and ask then */ }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * One request. With exact, numbers of the answer keep all their digits. The path is under the base, or a link that the API gave. Gives {data, next, headers, status}; throws a Problem.
 * @param {string} method
 * @param {string} path
 * @param {{query?: object, body?: any, match?: string, type?: string, exact?: boolean, signal?: AbortSignal, headers?: object}} [options]
 */
export async function call(method, path, { query, body, match, type, exact, signal, headers: more } = {}) {
  const url = new URL(path.startsWith(base + '/') ? path : base + path, location.origin);
  for (const [name, value] of Object.entries(query || {})) {
    if (value !== undefined && value !== null && value !== '') url.searchParams.set(name, value);
  }
  const headers = { Accept: 'application/json', ...more };
  if (match) headers['If-Match'] = match;
  if (method !== 'GET') {
    headers['Content-Type'] = type || 'application/json';
  }
  const text = body === undefined ? undefined : JSON.stringify(body);
  for (let tries = 0; ; tries++) {
    let answer;
    try {
      answer = await ((method === 'GET' && !match && !more && early(url)) || fetch(url, { method, headers, body: text, signal, credentials: 'same-origin' }));
    } catch (e) {
      if (e.name === 'AbortError') throw e;
      reached(false);
      throw new Problem(0, { detail: 'rowhook cannot be reached: is it running? The page goes on by itself when it is back' });
    }
    if (answer.status === 429 && method === 'GET' && tries < 4) {
      // The API answers one that reads much for each login at a time: the page waits for its turn.
      await pause(Math.min(Number(answer.headers.get('Retry-After')) || 1, 5) * 1000);
      continue;
    }
    const given = answer.status === 204 ? '' : await answer.text();
    let data = null;
    try {
      data = given === '' ? null : JSON.parse(given, exact ? whole : undefined);
    } catch {
      if (answer.ok) throw new Problem(answer.status, { detail: 'the answer is no JSON: is there something between this page and rowhook?' });
    }
    // A proxy before rowhook answers so where there is no rowhook behind it; rowhook itself says why, in JSON.
    const gateway = data === null && answer.status >= 502 && answer.status <= 504;
    reached(!gateway);
    if (!answer.ok) {
      const problem = new Problem(answer.status, data || {});
      problem.away = gateway;
      problem.retryAfter = Number(answer.headers.get('Retry-After')) || 0;
      if (answer.status === 401 && path !== '/session') dispatchEvent(new Event('rowhook-out'));
      throw problem;
    }
    return { data, status: answer.status, headers: answer.headers, next: nextOf(answer.headers.get('Link')) };
  }
}

/** The path and query of the next page, or null. */
function nextOf(link) {
  const found = /<([^>]+)>;\s*rel="?next"?/.exec(link || '');
  return found ? found[1] : null;
}

export const get = (path, query, signal) => call('GET', path, { query, signal });
export const post = (path, body) => call('POST', path, { body: body === undefined ? {} : body });

/** A part of a path. */
export const part = (text) => encodeURIComponent(text);
