// Small charts by uPlot, which is fetched when the first one is drawn.
import { html, useEffect, useRef, useState } from '../site/vendor/htm@3.1.1/standalone.module.js';
import { root } from './router.js';

let library;
function uPlot() {
  library ||= new Promise((done, failed) => {
    const css = document.createElement('link');
    css.rel = 'stylesheet';
    css.href = root + '/vendor/uplot@1.6.32/uPlot.min.css';
    const script = document.createElement('script');
    script.src = root + '/vendor/uplot@1.6.32/uPlot.iife.min.js';
    script.onload = () => done(window.uPlot);
    script.onerror = () => failed(new Error('the charts could not be loaded'));
    document.head.append(css, script);
  });
  return library;
}

// A colour as the style sheet has it just now: light-dark() is settled by an element that wears it.
function colour(name) {
  const probe = document.createElement('i');
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const c = getComputedStyle(probe).color;
  probe.remove();
  return c;
}

// The axis of time goes by whole minutes: its labels have no seconds.
const minutes = [60, 120, 180, 300, 600, 900, 1800, 3600];

/** Powers of two, for bytes. */
export const binary = Array.from({ length: 50 }, (_, i) => 2 ** i);

// Where a value has no neighbour no line shows it.
const alone = (values) => values.flatMap((v, i) => ((v ?? null) !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null ? [i] : []));

/**
 * Lines over time.
 * @param {{title: string, lines: {name: string, colour: string, dash?: number[], fill?: boolean}[], data: number[][], show: (n: number) => string}} props
 *   data[0] are times in seconds, and one list for each line follows. steps are what the scale may go by; without them 1, 2 and 5 times a power of ten.
 */
export function Chart({ title, lines, data, show, steps }) {
  const box = useRef(null);
  const plot = useRef(null);
  const [theme, redraw] = useState(0);
  const current = useRef(data);
  current.current = data;
  const some = data[0].length > 1;
  useEffect(() => {
    const again = () => redraw((n) => n + 1);
    const media = matchMedia('(prefers-color-scheme: dark)');
    media.addEventListener('change', again);
    addEventListener('rowhook-theme', again);
    return () => {
      media.removeEventListener('change', again);
      removeEventListener('rowhook-theme', again);
    };
  }, []);
  useEffect(() => {
    if (!some) return undefined;
    let over = false;
    let watch;
    uPlot().then((U) => {
      if (over || !box.current) return;
      const ink = colour('muted');
      const line = colour('line');
      const font = '11px ' + getComputedStyle(document.body).fontFamily;
      const axis = { stroke: ink, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
      plot.current = new U({
        width: box.current.clientWidth, height: 150, padding: [8, 4, 0, 0],
        cursor: { show: false }, legend: { show: false }, select: { show: false },
        scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.12 : 1] } },
        axes: [
          { ...axis, grid: { show: false }, space: 70, size: 24, incrs: minutes, values: (_, at) => at.map((s) => new Date(s * 1000).toTimeString().slice(0, 5)) },
          { ...axis, size: 58, space: 34, ...(steps && { incrs: steps }), values: (_, at) => at.map(show) },
        ],
        series: [{}, ...lines.map((l) => ({ stroke: colour(l.colour), width: 1.6, dash: l.dash, points: { size: 4, fill: colour(l.colour), filter: (u, i) => alone(u.data[i]) },
          fill: l.fill ? colour(l.colour).replace('rgb(', 'rgba(').replace(')', ', .10)') : undefined }))],
      }, current.current, box.current);
      watch = new ResizeObserver(() => box.current && plot.current?.setSize({ width: box.current.clientWidth, height: 150 }));
      watch.observe(box.current);
    }, () => {});
    return () => {
      over = true;
      watch?.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [theme, some]);
  useEffect(() => plot.current?.setData(data), [data]);
  const last = (i) => data[i + 1].at(-1);
  const now = (i) => ((last(i) ?? null) === null ? '–' : show(last(i)));
  const words = lines.map((l, i) => `${l.name} ${now(i)}`).join(', ');
  return html`<figure class="chart">
    <h3>${title}${lines.map((l, i) => html`<span class="key"><span class=${'swatch ' + (['c1', 'c2', 'c3'][['accent', 'bad', 'muted'].indexOf(l.colour)])}></span>${l.name} ${some ? now(i) : ''}</span>`)}</h3>
    ${some ? html`<div class="plot" ref=${box} role="img" aria-label=${`${title} of the last ${Math.round((data[0].at(-1) - data[0][0]) / 60)} minutes, now: ${words}`}></div>`
      : html`<div class="nothing">The first values come within half a minute.</div>`}
  </figure>`;
}
