// What is wrong with the page as it stands, for those who see little, use keys, or hold a phone: a list of sentences.
(phone) => {
  const wrong = new Set();
  const shown = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !e.closest('.off, [hidden]') && getComputedStyle(e.closest('thead') || e).clipPath === 'none';
  const brief = (e) => `${e.tagName.toLowerCase()}${e.id ? '#' + e.id : ''}${typeof e.className === 'string' && e.className ? '.' + e.className.trim().replaceAll(/\s+/g, '.') : ''} "${(e.getAttribute('aria-label') || e.innerText || e.value || '').trim().replaceAll(/\s+/g, ' ').slice(0, 50)}"`;
  const say = (e, text) => wrong.add(`${brief(e)}: ${text}`);
  // Behind a window that is open nothing can be pressed.
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown).filter((e) => !document.querySelector('dialog[open]') || e.closest('dialog'));

  // Colours, as the browser paints them: whatever notation a style has.
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const known = new Map();
  const rgba = (text) => {
    if (!known.has(text)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = text;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      known.set(text, [r, g, b, a / 255]);
    }
    return known.get(text);
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const behind = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
      const c = rgba(getComputedStyle(at).backgroundColor);
      if (c[3] > 0) layers.push(c);
      if (c[3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const light = (c) => {
    const [r, g, b] = c.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const faded = (e) => {
    let o = 1;
    for (let at = e; at; at = at.parentElement) o *= Number(getComputedStyle(at).opacity);
    return o;
  };
  const off = (e) => e.closest(':disabled, [aria-disabled="true"]');
  const texts = all('body *').filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && !e.closest('noscript, option, svg'));
  for (const e of texts) {
    if (off(e) || e.closest('.fresh')) continue; // a colour that fades away is not what stays
    const below = behind(e);
    const c = rgba(getComputedStyle(e).color);
    const is = contrast(over([c[0], c[1], c[2], c[3] * faded(e)], below), below);
    if (is < 4.5) say(e, `its contrast is ${is.toFixed(2)}`);
  }
  for (const e of all('input, textarea, select')) {
    if (off(e)) continue;
    const below = behind(e);
    for (const [part, has] of [[null, e.value], ['::placeholder', e.placeholder && !e.value]]) {
      if (!has) continue;
      const style = getComputedStyle(e, part);
      const c = rgba(style.color);
      const is = contrast(over([c[0], c[1], c[2], c[3] * (part ? Number(style.opacity) : 1) * faded(e)], below), below);
      if (is < 4.5) say(e, `the contrast of its ${part || 'value'} is ${is.toFixed(2)}`);
    }
    const edge = contrast(rgba(getComputedStyle(e).borderTopColor), behind(e.parentElement));
    if (e.type !== 'checkbox' && edge < 1.8) say(e, `its edge has the contrast ${edge.toFixed(2)}`);
  }

  // Texts that do not fit where they are. Those of .clip and .one-line are cut on purpose.
  for (const e of texts) {
    if (e.closest('.clip, .one-line, pre, textarea, del, ins')) continue;
    const range = document.createRange();
    range.selectNodeContents(e);
    for (const box of range.getClientRects()) {
      if (box.width === 0) continue;
      for (let at = e; at && at !== document.body; at = at.parentElement) {
        const style = getComputedStyle(at);
        if (style.display === 'inline' || style.display === 'contents') continue;
        const frame = at.getBoundingClientRect();
        if (box.right > frame.right + 1.5 || box.left < frame.left - 1.5) {
          say(e, `it stands out of ${brief(at).slice(0, 40)} by ${Math.max(box.right - frame.right, frame.left - box.left).toFixed()} px`);
          break;
        }
        if (style.overflow !== 'visible' && (box.bottom > frame.bottom + 2 || box.top < frame.top - 2) && style.overflowY !== 'auto' && style.overflowY !== 'scroll') {
          say(e, `it is cut by ${brief(at).slice(0, 40)}`);
          break;
        }
        if (style.position === 'fixed') break;
      }
    }
    if (getComputedStyle(e).textOverflow === 'ellipsis' && e.scrollWidth > e.clientWidth) say(e, 'it is cut');
  }
  for (const e of all('input, select')) {
    const text = e.tagName === 'SELECT' ? e.selectedOptions[0]?.text : e.value || e.placeholder;
    if (!text || e.type === 'checkbox' || e.value.length > 40) continue;
    const style = getComputedStyle(e);
    const ruler = document.createElement('span');
    Object.assign(ruler.style, { font: style.font, letterSpacing: style.letterSpacing, position: 'fixed', whiteSpace: 'pre' });
    ruler.textContent = text;
    document.body.append(ruler);
    const wide = ruler.getBoundingClientRect().width;
    ruler.remove();
    const room = e.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - (e.tagName === 'SELECT' ? 12 : 0);
    if (wide > room + 1) say(e, `"${text}" is wider than it: ${wide.toFixed()} of ${room.toFixed()} px`);
  }

  // What can be pressed: with room for a finger.
  const controls = all('a[href], button, input, select, textarea, summary, [tabindex="0"]').filter((e) => !e.matches('.skip'));
  if (phone) {
    for (const e of controls) {
      const box = e.getBoundingClientRect();
      // A link in a sentence is as large as the sentence; a checkbox is as large as its label beside it.
      const said = e.tagName === 'A' && getComputedStyle(e).display === 'inline' && e.parentElement.innerText.trim() !== e.innerText.trim() && !e.closest('td, nav, .crumbs');
      const label = e.type === 'checkbox' && e.labels[0]?.getBoundingClientRect();
      const height = Math.max(box.height, label ? label.height : 0);
      if (!said && (height < 23.9 || (box.width < 23.9 && !label))) say(e, `a finger has ${box.width.toFixed()} x ${height.toFixed()} px`);
    }
  }
  // Two controls on one spot: the upper one takes the press.
  for (const e of controls) {
    const box = e.getBoundingClientRect();
    const y = box.top + box.height / 2;
    for (const x of [box.left + 3, box.left + box.width / 2, box.right - 3]) {
      if (y < 0 || y > innerHeight || x < 0 || x > innerWidth) continue;
      const hit = document.elementFromPoint(x, y);
      if (hit && !e.contains(hit) && !hit.contains(e) && !hit.closest('.notices, .skip') && ![...(e.labels || [])].some((l) => l.contains(hit)) && getComputedStyle(e).display !== 'inline') say(e, `${brief(hit)} is over it`);
    }
  }
  // Where the keyboard is can be seen. Focus that a script sets is shown if a key was pressed last.
  const was = document.activeElement;
  for (const e of controls) {
    if (e.disabled) continue;
    e.focus({ preventScroll: true, focusVisible: true });
    const style = getComputedStyle(e);
    if (document.activeElement === e && (style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 1)) say(e, 'nobody sees that it has the focus');
    else if (document.activeElement === e) {
      const ring = contrast(rgba(style.outlineColor), behind(e.parentElement));
      if (ring < 3) say(e, `the ring of its focus has the contrast ${ring.toFixed(2)}`);
    }
  }
  if (was instanceof HTMLElement && was !== document.body) was.focus({ preventScroll: true });
  else document.activeElement?.blur();

  // The outline of the page.
  const count = (selector) => document.querySelectorAll(selector).length;
  if (count('main') !== 1) wrong.add(`there are ${count('main')} main`);
  if (document.querySelector('nav') && count('header.rail') !== 1) wrong.add('there is no banner');
  const navs = [...document.querySelectorAll('nav')].map((n) => n.getAttribute('aria-label'));
  if (navs.some((n) => !n) || new Set(navs).size !== navs.length) wrong.add(`the names of nav are ${navs}`);
  if (count('h1') !== 1) wrong.add(`there are ${count('h1')} h1`);
  let level = 1;
  for (const h of [...document.querySelectorAll('h1, h2, h3, h4')].filter((e) => e.checkVisibility())) {
    if (Number(h.tagName[1]) > level + 1) say(h, `it follows h${level}`);
    level = Number(h.tagName[1]);
    if (!h.innerText.trim()) say(h, 'it is empty');
  }
  if (!document.title || !document.documentElement.lang) wrong.add('there is no title or no language');
  for (const t of all('table')) {
    if (!t.caption?.textContent) say(t, 'it has no caption');
    if (t.querySelectorAll('thead th[scope="col"]').length === 0) say(t, 'its columns have no headers');
  }
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  for (const id of new Set(ids.filter((x, i) => ids.indexOf(x) !== i))) wrong.add(`two elements are called ${id}`);
  for (const e of document.querySelectorAll('[aria-describedby], [aria-labelledby], [aria-controls]')) {
    for (const name of ['aria-describedby', 'aria-labelledby']) {
      for (const id of (e.getAttribute(name) || '').split(/\s+/).filter(Boolean)) if (!document.getElementById(id)) say(e, `its ${name} leads to ${id}, which is not there`);
    }
  }
  return [...wrong].slice(0, 25);
}
