'use strict';
document.documentElement.classList.add('js');

// An element with attributes and children.
function make(name, attributes = {}, ...children) {
  const svg = ['svg', 'path', 'circle', 'line'].includes(name);
  const element = svg ? document.createElementNS('http://www.w3.org/2000/svg', name)
                      : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value !== false) element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

// Tables: a click on a heading sorts; the columns that say which row it is stay in view.
(() => {
  const number = (cell) => parseFloat(cell.textContent.replaceAll('−', '-').replace('∞', 'Infinity'));

  function compare(a, b) {
    const x = number(a), y = number(b);
    if (Number.isNaN(x) && Number.isNaN(y)) return a.textContent.localeCompare(b.textContent);
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    return x - y;
  }

  // The headings of single columns, in order, where some stand below a group's heading.
  function headings(table) {
    const [top, bottom] = table.tHead.rows;
    const below = bottom ? [...bottom.cells] : [];
    return [...top.cells].flatMap(
        (cell) => cell.scope === 'colgroup' ? below.splice(0, cell.colSpan) : [cell]);
  }

  function sort(table, all, column) {
    const descending = all[column].getAttribute('aria-sort') === 'ascending';
    for (const heading of all) heading.removeAttribute('aria-sort');
    all[column].setAttribute('aria-sort', descending ? 'descending' : 'ascending');
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => (descending ? -1 : 1) * compare(a.cells[column], b.cells[column]));
    table.tBodies[0].append(...rows);
  }

  for (const table of document.querySelectorAll('.wide table.data')) {
    const all = headings(table);
    all.forEach((heading, column) => {
      const button = make('button', {type: 'button', onclick: () => sort(table, all, column)});
      button.append(...heading.childNodes);
      heading.append(button);
    });
    let left = 0;
    for (let i = 0; i < 4; ++i) {
      table.style.setProperty(`--left-${i + 1}`, `${left}px`);
      left += all[i].getBoundingClientRect().width;
    }
  }
})();

// Figures.
(() => {
  const holder = document.getElementById('data');
  if (!holder || typeof Chart === 'undefined') return;
  const data = JSON.parse(holder.textContent);

  const errors = [
    {name: 'ground truth', title: 'ground-truth error',
     formula: '‖<i>Y</i> − deq(<i>Y</i>′<sub>q</sub>)‖ / ‖<i>Y</i>‖'},
    {name: 'expected', title: 'expected error',
     formula: '‖deq(<i>Y</i><sub>q</sub>) − deq(<i>Y</i>′<sub>q</sub>)‖ / ' +
              '‖deq(<i>Y</i><sub>q</sub>)‖'},
    {name: 'simulated', title: 'simulated error',
     formula: '‖<i>Y</i><sub>q</sub> − <i>Y</i>′<sub>q</sub>‖ / ‖<i>Y</i><sub>q</sub>‖ on codes'},
  ];
  // Hue and shape say the distribution, shade says the coverage or the size.
  const shapes = ['circle', 'triangle', 'rectRot', 'rect'];
  const themes = {
    light: {
      ink: '#1c2228', soft: '#57626d', grid: '#e6e9eb', edge: '#ffffff', tip: '#1c2228f2',
      tipInk: '#ffffff',
      ramps: [['#5fb0d0', '#2276b0', '#10357c'], ['#e8a035', '#d2570c', '#741c06'],
              ['#6fb868', '#2b8a43', '#0c3d1e'], ['#bd84c6', '#8a3f9e', '#3c1454']],
    },
    dark: {
      ink: '#e3e6e8', soft: '#a0abb5', grid: '#2b3137', edge: '#1a1e22', tip: '#e9eceff5',
      tipInk: '#14171a',
      ramps: [['#2f6d99', '#4fa6dc', '#a9e0ff'], ['#a34f1f', '#ee8435', '#ffd08a'],
              ['#2c7a43', '#5dbd70', '#d3f5d0'], ['#80458f', '#bd7fd0', '#f1d7f7']],
    },
  };

  const unique = (values) => [...new Set(values)];
  const ascending = (values) => unique(values).sort((a, b) => a - b);
  const rowBits = ascending(data.rows.map((r) => r.bits));
  const rowConventions = unique(data.rows.map((r) => r.convention));
  const distributions = unique(data.rows.map((r) => r.distribution));
  const repeated = data.groups.some((g) => g.count > 1);
  const state = {
    error: 0, log: true, spread: 'mean', bits: rowBits.includes(8) ? 8 : rowBits[0],
    convention: rowConventions[0], hidden: new Set(),
  };

  const finite = (x) => typeof x === 'number' && Number.isFinite(x);
  const superscript = (text) => [...text].map((c) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[c] ?? '⁻').join('');

  function power(x, digits) {
    const [mantissa, exponent] = x.toExponential(digits).split('e');
    const ten = '10' + superscript(exponent.replace('+', ''));
    return Number(mantissa) === 1 ? ten : `${mantissa}·${ten}`;
  }

  function show(x) {
    if (!finite(x)) return '–';
    const size = Math.abs(x);
    return size !== 0 && (size < 1e-4 || size >= 1e6) ? power(x, 3) : String(+x.toPrecision(4));
  }

  function tick(x) {
    return x !== 0 && (x < 1e-3 || x >= 1e6) ? power(x, 0) : String(+x.toPrecision(3));
  }

  // A colour `t` of the way along a ramp of three.
  function shade(ramp, t) {
    const at = Math.min(t * 2, 1.9999), i = Math.floor(at), f = at - i;
    const channel = (hex, c) => parseInt(hex.slice(1 + 2 * c, 3 + 2 * c), 16);
    const mixed = [0, 1, 2].map(
        (c) => Math.round(channel(ramp[i], c) * (1 - f) + channel(ramp[i + 1], c) * f));
    return `rgb(${mixed.join(', ')})`;
  }

  function sizeName([m, k, n]) {
    return m === k && k === n ? String(n) : `${m}×${k} by ${k}×${n}`;
  }

  // What is drawn: one point a row, or one a group of rows alike but for the seed.
  function points() {
    const chosen = (r) => r.bits === state.bits && r.convention === state.convention;
    const point = (r, index) => ({
      row: index + 1, distribution: r.distribution, size: r.shape[2], name: sizeName(r.shape),
      cover: r.cover, seed: r.seed, predicted: r.predicted, published: r.published,
      error: r.error.map((mean) => [mean, 0]), scale: [r.scale_y, 0], count: 1,
    });
    if (!repeated || state.spread === 'each') {
      return data.rows.map(point).filter((p, i) => chosen(data.rows[i]));
    }
    return data.groups.filter((g) => chosen(data.rows[g.row])).map((g) => ({
      ...point(data.rows[g.row], g.row), error: g.error, scale: g.scale_y, count: g.count,
      published: null,
    }));
  }

  // Values of a logarithmic axis that get a label.
  function logTicks(min, max) {
    const span = Math.log10(max / min);
    const steps = span > 3.5 ? [1] : span > 1.2 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 8];
    const ticks = [];
    for (let e = Math.floor(Math.log10(min)); e <= Math.ceil(Math.log10(max)); ++e) {
      for (const step of steps) {
        const value = Number(`${step}e${e}`);
        if (value >= min && value <= max) ticks.push(value);
      }
    }
    return ticks;
  }

  // An axis that holds every value, its spread and its prediction.
  function valueAxis(series, log, title, theme) {
    const values = series.flatMap((s) => s.data.flatMap(
        (p) => [p.y, p.y - p.spread, p.y + p.spread, p.predicted])).filter(finite);
    const drawn = log ? values.filter((v) => v > 0) : values;
    let min = Math.min(...drawn), max = Math.max(...drawn);
    if (!drawn.length) [min, max] = [0.1, 1];
    const axis = {
      type: log ? 'logarithmic' : 'linear', title: {display: true, text: title, color: theme.ink},
      grid: {color: theme.grid, borderColor: theme.soft}, ticks: {color: theme.soft, callback: tick},
    };
    if (!log) return {...axis, min: Math.min(0, min), suggestedMax: max * 1.03};
    const room = Math.max(1.12, (max / min) ** 0.05);
    min /= room;
    max *= room;
    const ticks = logTicks(min, max);
    axis.ticks.autoSkip = false;
    return {...axis, min, max, afterBuildTicks: (s) => { s.ticks = ticks.map((value) => ({value})); }};
  }

  const sizeAxis = (sizes, theme) => ({
    type: 'logarithmic', min: sizes[0] / 1.4, max: sizes[sizes.length - 1] * 1.4,
    title: {display: true, text: 'matrix size n', color: theme.ink},
    grid: {color: theme.grid, borderColor: theme.soft},
    ticks: {color: theme.soft, maxRotation: 0, callback: (v) => String(v)},
    afterBuildTicks: (s) => { s.ticks = sizes.map((value) => ({value})); },
  });

  // Coverages stand at equal distances: the interesting ones crowd below 1.
  const coverAxis = (covers, theme) => ({
    type: 'linear', min: -0.35, max: covers.length - 0.65,
    title: {display: true, text: 'coverage', color: theme.ink},
    grid: {color: theme.grid, borderColor: theme.soft},
    ticks: {color: theme.soft, maxRotation: 60, autoSkip: false, callback: (v) => String(covers[v])},
    afterBuildTicks: (s) => { s.ticks = covers.map((c, value) => ({value})); },
  });

  // Standard errors as vertical whiskers behind the points.
  const whiskers = {
    id: 'whiskers',
    beforeDatasetDraw(chart, {index, meta}) {
      const set = chart.data.datasets[index], axis = chart.scales.y, context = chart.ctx;
      if (!set.measured || meta.hidden) return;
      context.save();
      context.strokeStyle = set.backgroundColor;
      context.lineWidth = 1.5;
      meta.data.forEach((element, i) => {
        const {y, spread} = set.data[i];
        if (!spread || !finite(y)) return;
        const low = axis.type === 'logarithmic' ? Math.max(y - spread, axis.min) : y - spread;
        const top = axis.getPixelForValue(y + spread), bottom = axis.getPixelForValue(low);
        context.beginPath();
        context.moveTo(element.x, top);
        context.lineTo(element.x, bottom);
        for (const end of [top, bottom]) {
          context.moveTo(element.x - 3.5, end);
          context.lineTo(element.x + 3.5, end);
        }
        context.stroke();
      });
      context.restore();
    },
  };

  function describe(p, of) {
    const lines = [];
    const many = p.count > 1;
    const [value, spread] = of(p);
    lines.push(`measured ${show(value)}` +
               (many ? ` ± ${show(spread)} (mean of ${p.count} seeds)` : ''));
    const predicted = p.predicted[of.error];
    if (finite(predicted)) {
      lines.push(`predicted ${show(predicted)}`);
      if (value > 0) lines.push(`predicted / measured ${(predicted / value).toFixed(4)}`);
    }
    const published = p.published ? p.published[of.error] : null;
    if (finite(published)) lines.push(`published ${show(published)}`);
    lines.push(many ? `rows from ${p.row}` : `row ${p.row}` + (repeated ? `, seed ${p.seed}` : ''));
    return lines;
  }

  let charts = [];

  function swatch(shape, colour) {
    const d = {circle: 'M6 1.5a4.5 4.5 0 1 0 .01 0z', triangle: 'M6 1.2L11 10H1z',
               rectRot: 'M6 .8L11.2 6 6 11.2.8 6z', rect: 'M1.8 1.8h8.4v8.4H1.8z'}[shape];
    return make('svg', {width: 12, height: 12, viewBox: '0 0 12 12', 'aria-hidden': 'true'},
                make('path', {d, fill: colour}));
  }

  // One panel: points of each series, with lines of the predictions.
  function draw(plots, panel, view) {
    const {theme, printing} = view;
    const canvas = make('canvas', {role: 'img', 'aria-label': panel.label});
    const box = make('div', {class: 'canvas'}, canvas);
    const plot = make('div', {class: panel.single ? 'plot single' : 'plot'}, box);
    if (panel.title) plot.prepend(make('h4', {}, panel.title));
    plots.append(plot);
    if (printing) {
      canvas.width = panel.single ? 690 : 335;
      canvas.height = panel.single ? 240 : 205;
    }
    const shown = (y) => finite(y) && (y > 0 || panel.y.type === 'linear') ? y : null;
    const datasets = panel.series.flatMap((s, i) => {
      const common = {key: s.key, hidden: state.hidden.has(s.key), showLine: true};
      const line = s.data.map((p) => ({...p, y: shown(p.predicted)}));
      // A lone prediction is a dash, since a line needs two points.
      const lone = unique(s.data.map((p) => p.x)).length === 1;
      return [
        {...common, data: s.data.map((p) => ({...p, y: shown(p.y)})), showLine: false, order: -i,
         measured: true, pointStyle: s.shape, radius: s.shape === 'circle' ? 4.5 : 5.5,
         hoverRadius: 7, backgroundColor: s.colour, borderColor: theme.edge, borderWidth: 1},
        {...common, data: line, order: 1000 - i, pointStyle: 'line', radius: lone ? 11 : 0,
         hoverRadius: lone ? 11 : 0, borderColor: s.colour, borderWidth: 1.75},
      ];
    });
    if (panel.guide) {
      datasets.push({data: panel.guide, showLine: true, order: 2000, radius: 0, hitRadius: 0,
                     hoverRadius: 0, borderColor: theme.soft, borderDash: [5, 4], borderWidth: 1.25});
    }
    const chart = new Chart(canvas, {
      type: 'scatter', data: {datasets}, plugins: [whiskers],
      options: {
        animation: false, responsive: !printing, maintainAspectRatio: false,
        devicePixelRatio: printing ? 3 : undefined, layout: {padding: {top: 6, right: 6}},
        interaction: {mode: 'nearest', axis: 'xy', intersect: false},
        scales: {x: panel.x, y: panel.y},
        plugins: {
          legend: {display: false},
          tooltip: {
            backgroundColor: theme.tip, titleColor: theme.tipInk, bodyColor: theme.tipInk,
            displayColors: false, padding: 9, cornerRadius: 4,
            // A point and its prediction are equally near: one of them speaks for both.
            filter: (item, index) => index === 0 && item.raw.point !== undefined,
            callbacks: {
              title: ([item]) => {
                const p = item?.raw.point;
                return p ? `${p.distribution}, size ${p.name}, coverage ${p.cover}` : '';
              },
              label: (item) => describe(item.raw.point, panel.of),
            },
          },
        },
      },
    });
    charts.push(chart);
    plot.append(legend(panel, chart, theme));
  }

  function legend(panel, chart, theme) {
    const box = make('div', {class: 'legend'});
    const groups = unique(panel.series.map((s) => s.group));
    for (const group of groups) {
      const row = make('div', {class: 'legend-row'}, make('span', {class: 'legend-title'}, group));
      for (const s of panel.series.filter((one) => one.group === group)) {
        const button = make('button', {
          type: 'button', 'aria-pressed': String(!state.hidden.has(s.key)),
          title: 'show or hide', onclick: () => {
            const hide = !state.hidden.has(s.key);
            if (hide) state.hidden.add(s.key);
            else state.hidden.delete(s.key);
            button.setAttribute('aria-pressed', String(!hide));
            chart.data.datasets.forEach((set) => {
              if (set.key === s.key) set.hidden = hide;
            });
            chart.update();
          },
        }, swatch(s.shape, s.colour), s.label);
        row.append(button);
      }
      box.append(row);
    }
    const line = (dash) => make('svg', {width: 22, height: 8, 'aria-hidden': 'true'},
        make('line', {x1: 0, x2: 22, y1: 4, y2: 4, stroke: theme.soft, 'stroke-width': 1.75,
                      'stroke-dasharray': dash}));
    const keys = make('div', {class: 'legend-row'},
        make('span', {class: 'key'}, swatch(panel.series[0].shape, theme.soft), 'measured'));
    if (panel.series.some((s) => s.data.some((p) => finite(p.predicted)))) {
      keys.append(make('span', {class: 'key'}, line('none'), 'predicted'));
    }
    if (panel.guide) keys.append(make('span', {class: 'key'}, line('5 4'), 'slope ½, as √n'));
    box.append(keys);
    return box;
  }

  // Splits points into series, one for each value of `by`, coloured along the distribution's ramp.
  function series(figure, chosen, by, xOf, of, group, theme) {
    return distributions.flatMap((distribution, d) => {
      const mine = chosen.filter((p) => p.distribution === distribution);
      const values = ascending(chosen.map((p) => p[by]));
      return values.map((value, i) => {
        const own = mine.filter((p) => p[by] === value).sort((a, b) => xOf(a) - xOf(b));
        return {
          key: `${figure}/${distribution}/${value}`, group: group(distribution), distribution,
          label: own.length && by === 'size' ? own[0].name : String(value),
          shape: shapes[d % shapes.length],
          colour: shade(theme.ramps[d % theme.ramps.length],
                        values.length > 1 ? i / (values.length - 1) : 0.5),
          data: own.map((p) => ({
            x: xOf(p), y: of(p)[0], spread: of(p)[1] ?? 0, point: p,
            predicted: p.predicted[of.error],
          })),
        };
      }).filter((s) => s.data.length);
    });
  }

  // Height is kept while a figure is drawn anew, so that the page does not jump.
  function figure(number, about, note, panels, view, title) {
    const element = document.getElementById(`figure-${number}`);
    const plots = element.querySelector('.plots'), notes = element.querySelector('.figure-note');
    if (title) element.querySelector('.figure-title').textContent = title;
    element.querySelector('.figure-about').replaceChildren(...about);
    notes.textContent = note;
    notes.hidden = !note;
    plots.style.minHeight = view.printing ? '' : `${plots.offsetHeight}px`;
    plots.replaceChildren();
    for (const panel of panels) draw(plots, panel, view);
    plots.style.minHeight = '';
  }

  // A printer also changes the colour scheme, so whether we print is remembered.
  let printing = false;

  function render() {
    charts.forEach((chart) => chart.destroy());
    charts = [];
    const dark = !printing && matchMedia('(prefers-color-scheme: dark)').matches;
    const theme = dark ? themes.dark : themes.light;
    const view = {theme, printing};
    Chart.defaults.font.family = getComputedStyle(document.documentElement).getPropertyValue('--sans');
    Chart.defaults.font.size = printing ? 10 : 12.5;
    Chart.defaults.color = theme.ink;

    const chosen = points();
    const sizes = ascending(chosen.map((p) => p.size));
    const covers = ascending(chosen.map((p) => p.cover));
    const error = errors[state.error];
    const ofError = Object.assign((p) => p.error[state.error], {error: state.error});
    const ofScale = Object.assign((p) => p.scale, {error: 3});
    const atCover = (p) => covers.indexOf(p.cover);
    const atSize = (p) => p.size;

    const predicted = chosen.some((p) => finite(p.predicted[state.error]));
    const zeros = state.log ? chosen.filter((p) => ofError(p)[0] === 0).length : 0;
    const lost = chosen.filter((p) => !finite(ofError(p)[0])).length;
    const note = [
      predicted ? '' : 'No prediction is made of this error for these rows.',
      zeros ? `Not drawn, being 0 on a logarithmic axis: ${zeros}; the linear axis shows them.` : '',
      lost ? `Not drawn, not being finite: ${lost}.` : '',
    ].filter(Boolean).join(' ');
    const what = [
      rowBits.length > 1 ? `${state.bits} bits.` : '',
      rowConventions.length > 1 ? `Convention ${state.convention}.` : '',
      repeated && state.spread === 'mean' ? 'Means over seeds, with whiskers of ± one standard error.'
          : repeated ? 'One point a seed.' : '',
    ].filter(Boolean).join(' ');
    const formula = make('span', {class: 'inline-formula'});
    formula.innerHTML = error.formula;  // ours, not the data's
    const about = () => [`The ${error.title}, `, formula.cloneNode(true), '. Points are measured' +
        (predicted ? ', lines predicted. ' : '. ') + what];
    const named = (d) => `${d}: `;

    // 1: a panel for each distribution, on one scale.
    const bySize = series(1, chosen, 'cover', atSize, ofError, () => 'coverage', theme);
    const errorAxis = (all) => valueAxis(all, state.log, error.title, theme);
    const panelsBy = (all, make_) => distributions.map((d) => {
      const mine = all.filter((s) => s.distribution === d);
      return mine.length ? make_(d, mine) : null;
    }).filter(Boolean);
    const one = 'This run has one size only: there is nothing to draw against the size.';
    figure(1, sizes.length > 1 ? about() : [], sizes.length > 1 ? note : one,
        sizes.length < 2 ? [] : panelsBy(bySize, (d, mine) => ({
      title: d, series: mine, x: sizeAxis(sizes, theme), y: errorAxis(bySize), of: ofError,
      label: `Figure 1, ${d}: ${error.title} against matrix size, one series for each of ` +
             `${mine.length} coverages. The table of rows has the numbers.`,
    })), view);

    // 2: one panel, so that distributions can be held against one another.
    const byCover = series(2, chosen, 'size', atCover, ofError, named, theme);
    const few = covers.length < 2 && sizes.length > 1;
    figure(2, few ? [] : about(), few ? 'This run has one coverage only.' : note, few ? [] : [{
      single: true, series: byCover, x: coverAxis(covers, theme), y: errorAxis(byCover), of: ofError,
      label: `Figure 2: ${error.title} against coverage, one series for each distribution and ` +
             'size. The table of rows has the numbers.',
    }], view);

    // 3: the output's scale, by size if there are several.
    if (sizes.length > 1) {
      const scales = series(3, chosen, 'cover', atSize, ofScale, () => 'coverage', theme);
      const y = valueAxis(scales, true, 'scale of the output', theme);
      const ends = [sizes[0], sizes[sizes.length - 1]];
      // The guide only shows the slope; it leaves the top right corner of the panel.
      const guide = ends.map((x) => ({x, y: y.max / 1.15 * Math.sqrt(x / ends[1])}));
      figure(3, [`Both axes are logarithmic. Points are measured, lines predicted. ${what}`], '',
          panelsBy(scales, (d, mine) => ({
        title: d, series: mine, x: sizeAxis(sizes, theme), y, of: ofScale, guide,
        label: `Figure 3, ${d}: scale of the output against matrix size, one series for each of ` +
               `${mine.length} coverages. The table of rows has the numbers.`,
      })), view);
    } else {
      const scales = series(3, chosen, 'size', atCover, ofScale, named, theme);
      figure(3, [`Points are measured, lines predicted. ${what}`], '', [{
        single: true, series: scales, x: coverAxis(covers, theme), of: ofScale,
        y: valueAxis(scales, true, 'scale of the output', theme),
        label: 'Figure 3: scale of the output against coverage. The table of rows has the numbers.',
      }], view, 'Scale of the output against coverage.');
    }
  }

  // A row of radio buttons that sets one part of the state.
  function choice(title, key, options) {
    const set = make('div', {class: 'choice'});
    for (const [value, label] of options) {
      set.append(make('label', {},
          make('input', {type: 'radio', name: key, checked: state[key] === value,
                         onchange: () => { state[key] = value; render(); }}),
          make('span', {}, label)));
    }
    return make('fieldset', {}, make('legend', {}, title), set);
  }

  const controls = document.getElementById('controls');
  controls.append(choice('Error', 'error', errors.map((e, i) => [i, e.name])),
                  choice('Axis of the error', 'log', [[true, 'logarithmic'], [false, 'linear']]));
  if (rowBits.length > 1) controls.append(choice('Bits', 'bits', rowBits.map((b) => [b, String(b)])));
  if (rowConventions.length > 1) {
    controls.append(choice('Convention', 'convention', rowConventions.map((c) => [c, c])));
  }
  if (repeated) {
    controls.append(choice('Seeds', 'spread', [['mean', 'mean ± s.e.'], ['each', 'every seed']]));
  }
  controls.hidden = false;
  render();

  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => render());
  const details = [...document.querySelectorAll('details')];
  let closed = [];
  addEventListener('beforeprint', () => {
    closed = details.filter((d) => !d.open);
    closed.forEach((d) => { d.open = true; });
    printing = true;
    render();
  });
  addEventListener('afterprint', () => {
    closed.forEach((d) => { d.open = false; });
    printing = false;
    render();
  });
})();
