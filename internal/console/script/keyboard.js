// The keys. They do nothing while somebody writes.
import { html, useLayoutEffect, useRef, useState } from '../site/vendor/htm@3.1.1/standalone.module.js';
import { go } from './router.js';
import { Dialog } from './ui.js';

const writes = (el) => el instanceof HTMLElement && (el.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(el.tagName)) && el.type !== 'checkbox';

/** Moves the focus among the rows of the table. */
function step(by) {
  const links = [...document.querySelectorAll('main table.rows tbody tr td.first a, main table.rows tbody tr td.first button')];
  if (links.length === 0) return;
  const at = links.indexOf(document.activeElement);
  const to = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1)];
  to.focus();
  to.scrollIntoView({ block: 'nearest' });
}

export function Keyboard({ pages, writable }) {
  const [help, show] = useState(false);
  const now = useRef();
  now.current = { pages, writable };
  // With the first picture, not after it is painted: a key may come in between.
  useLayoutEffect(() => {
    let g = 0;
    const press = (e) => {
      if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
      if (e.key === 'Escape' && writes(e.target)) return e.target.blur();
      if (writes(e.target) || document.querySelector('dialog[open]')) return;
      if (g && Date.now() - g < 1500) {
        g = 0;
        const page = now.current.pages.find((p) => p.key === e.key);
        if (page) {
          e.preventDefault();
          go(page.to);
        }
        return;
      }
      switch (e.key) {
        case 'g': g = Date.now(); break;
        case '/': {
          e.preventDefault();
          const field = document.querySelector('[data-search]');
          if (field) {
            field.focus();
            field.select();
          } else go('/subscriptions?find=1');
          break;
        }
        case '?': show(true); break;
        case 'j': step(1); break;
        case 'k': step(-1); break;
        case 'n': if (now.current.writable) go('/subscriptions/new'); break;
        default: return;
      }
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
  if (!help) return null;
  const rows = [['/', 'search'], ...pages.map((p) => [`g ${p.key}`, p.name]), ['j k', 'next and previous row'], ['Enter', 'open the row'],
    ...(writable ? [['n', 'new subscription']] : []), ['Esc', 'leave a field, close a window'], ['?', 'this list']];
  return html`<${Dialog} title="Keys" close=${() => show(false)}>
    <dl class="keys">${rows.map(([key, what]) => html`<div><dt>${key.split(' ').map((k) => html`<kbd>${k}</kbd> `)}</dt><dd>${what}</dd></div>`)}</dl>
    <div class="actions"><button type="button" class="primary" onClick=${() => show(false)}>Close</button></div>
  <//>`;
}
