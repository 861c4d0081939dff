// The token of a link: …/console/#token=…, as rowhook dev prints it. It leaves the address at once, whoever is signed in, so that it is
// neither in the history nor sent on by copying the address; and nobody is signed in by a link alone.

let waiting = '';
const listeners = new Set();

function look() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token === null) return;
  history.replaceState(history.state, '', location.pathname + location.search);
  waiting = token;
  listeners.forEach((f) => f());
}

look();
addEventListener('hashchange', look);

/** The token that a link gave, once: it waits for nobody else. */
export function take() {
  const token = waiting;
  waiting = '';
  return token;
}

/** Calls f when a link gives a token to this page while it is open. Gives what ends that. */
export function onToken(f) {
  listeners.add(f);
  return () => listeners.delete(f);
}
