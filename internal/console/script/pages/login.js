// The log-in: a token of the config, or one that the admin has made.
import { html, useEffect, useRef, useState } from '../../site/vendor/htm@3.1.1/standalone.module.js';
import { post } from '../api.js';
import { onToken, take } from '../invitation.js';
import { complaint, useTitle } from '../ui.js';

/** Ended is true where a session has ended by itself, or what is to be known of a log-out. */
export function Login({ Logo, enter, ended }) {
  useTitle('Sign in');
  const [token, set] = useState(take);
  const [wrong, fail] = useState('');
  const [busy, setBusy] = useState(false);
  const field = useRef(null);
  useEffect(() => {
    field.current?.focus();
    return onToken(() => {
      set(take());
      fail('');
      field.current?.focus();
    });
  }, []);
  const submit = async (e) => {
    e.preventDefault();
    if (busy) return;
    if (!token.trim()) {
      fail('Give a token.');
      field.current.focus();
      return;
    }
    setBusy(true);
    fail('');
    try {
      enter((await post('/session', { token: token.trim() })).data);
    } catch (x) {
      fail(x.status === 401 ? 'This token is not known, or has ended.' : complaint(x));
      setBusy(false);
      field.current?.focus();
      field.current?.select();
    }
  };
  return html`<main class="alone"><form class="login" onSubmit=${submit}>
    <${Logo} /><h1>rowhook</h1>
    <input type="text" name="username" autocomplete="username" value="rowhook" hidden />
    <p class="lead" role="status">${ended === true ? 'Your session has ended. Sign in again, and you are back where you were.' : ended || 'Committed rows, signed hooks.'}</p>
    <div class=${'field' + (wrong ? ' wrong' : '')}><label for="token">Token</label>
      <input ref=${field} id="token" type="password" autocomplete="current-password" value=${token} onInput=${(e) => set(e.target.value)}
        aria-invalid=${wrong ? 'true' : undefined} aria-describedby=${wrong ? 'token-wrong token-hint' : 'token-hint'} />
      <p class="mistake" id="token-wrong" role="alert">${wrong}</p>
      <p class="hint" id="token-hint">One of <code>api.tokens</code> in the config, or one made by <code>rowhook token create</code>. A customer’s token shows that customer’s own subscriptions.</p></div>
    <button type="submit" class="primary" aria-disabled=${busy ? 'true' : undefined}>Sign in</button>
  </form></main>`;
}
