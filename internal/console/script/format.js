// Values as people read them. All times are those of the browser's zone, all digits of one width by the style sheet.

const two = (n) => String(n).padStart(2, '0');

/** 2026-11-22 05:22:43, in the browser's zone. */
export function stamp(text) {
  const t = new Date(text);
  if (Number.isNaN(t.getTime())) return String(text ?? '');
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
}

/** 05:22:43.109 */
export function clock(text) {
  const t = new Date(text);
  return `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}.${String(t.getMilliseconds()).padStart(3, '0')}`;
}

/** Seconds as 0.7 ms, 3.2 s, 5 min, 2 h, 4 d. */
export function seconds(n) {
  if (n === null || n === undefined) return '–';
  const a = Math.abs(n);
  if (a === 0) return '0 s';
  if (a < 0.0995) return `${trim(n * 1000, a < 0.00995 ? 1 : 0)} ms`;
  if (a < 1) return `${Math.round(n * 1000)} ms`;
  if (a < 10) return `${trim(n, 1)} s`;
  if (a < 90) return `${Math.round(n)} s`;
  if (a < 5400) return `${Math.round(n / 60)} min`;
  if (a < 48 * 3600) return `${trim(n / 3600, a < 36000 ? 1 : 0)} h`;
  return `${Math.round(n / 86400)} d`;
}

export const millis = (n) => (n === null || n === undefined ? '–' : seconds(n / 1000));

const trim = (n, digits) => n.toFixed(digits).replace(/\.0$/, '');

/** How long it has been since then: 5 min. */
export const span = (text, now = Date.now()) => seconds(Math.max(1, Math.floor((now - new Date(text).getTime()) / 1000)));

/** 5 min ago, in 3 s. */
export function ago(text, now = Date.now()) {
  if (!text) return '–';
  const s = (now - new Date(text).getTime()) / 1000;
  if (Number.isNaN(s)) return String(text);
  if (Math.abs(s) < 1) return 'now';
  const words = seconds(Math.max(1, Math.floor(Math.abs(s))));
  return s < 0 ? `in ${words}` : `${words} ago`;
}

/** 1 536 as 1.5 KiB. */
export function bytes(n) {
  if (n === null || n === undefined) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  let v = n;
  while (Math.abs(v) >= 1024 && i < units.length - 1) {
    v /= 1024;
    i++;
  }
  return `${i === 0 || Math.abs(v) >= 100 ? Math.round(v) : trim(v, 1)} ${units[i]}`;
}

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
/** 1,234,567 */
export const count = (n) => (n === null || n === undefined ? '–' : grouped.format(n));

/** 0.4, 12, 1,234: per second. */
export function rate(n) {
  if (n === null || n === undefined) return '–';
  if (n === 0 || n >= 99.5) return grouped.format(n);
  return n < 10 ? trim(n, n < 0.1 ? 2 : 1) : String(Math.round(n));
}

/** 99.8 %; never 100 % while something failed. */
export function percent(share) {
  if (share === null || share === undefined) return '–';
  if (share >= 1) return '100 %';
  const p = Math.floor(share * 1000) / 10;
  return `${p.toFixed(p >= 10 && Number.isInteger(p) ? 0 : 1)} %`;
}

/** What a subscription is called where there is little room: its name, or the host of its target. */
export function called(s) {
  const letters = [...(s.name || host(s.target_url))];
  return letters.length > 40 ? letters.slice(0, 39).join('') + '…' : letters.join('');
}

/** The host of a target's URL, or what there is instead. */
export function host(url) {
  if (!url) return 'feed, without a target';
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}

/** A number and its noun: 1 attempt, 3 attempts. */
export const many = (n, one, more = one + 's') => `${count(n)} ${n === 1 ? one : more}`;
