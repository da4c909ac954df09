'use strict';
document.documentElement.classList.add('js');
const SVG = 'http://www.w3.org/2000/svg';
function make(name, attributes = {}, ...children) {
  const drawn = ['svg', 'rect', 'line', 'text', 'title', 'g'].includes(name);
  const element = drawn ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}
const round = (x, digits) => x === null ? '–' : Number(x.toPrecision(digits)).toString().replace('-', '−');
const dB = (x) => x === null ? 'exact' : x.toFixed(1).replace('-', '−');

for (const section of document.querySelectorAll('section.file')) {
  const data = JSON.parse(section.querySelector('script[type="application/json"]').textContent);
  const table = section.querySelector('table.tensors');
  const rows = [...table.tBodies[0].rows];
  const [name, limit] = section.querySelectorAll('.filter input');
  const scheme = section.querySelector('.filter select');
  const count = section.querySelector('.filter .count');
  const detail = section.querySelector('.detail');
  const fixed = 7;  // columns before the schemes'
  const shownSchemes = new Set(data.schemes.keys());

  // A column of the table for each scheme that is ticked.
  function columns() {
    for (const row of [table.tHead.rows[0], ...rows]) {
      const cells = [...row.cells].slice(fixed);
      if (cells.length === 1 && cells[0].classList.contains('kept')) {
        cells[0].colSpan = Math.max(shownSchemes.size, 1);
        continue;
      }
      cells.forEach((cell, i) => { cell.hidden = !shownSchemes.has(i); });
    }
  }
  data.schemes.forEach((scheme, i) => {
    const box = make('input', {type: 'checkbox', onchange: () => {
      box.checked ? shownSchemes.add(i) : shownSchemes.delete(i);
      columns();
    }});
    box.checked = true;
    section.querySelector('.columns').append(make('label', {}, box, scheme));
  });

  const mixtures = section.querySelector('.mixtures');
  if (data.mixtures.length === 0) mixtures.remove();
  else {
    const choice = mixtures.querySelector('select');
    for (const mixture of data.mixtures) choice.append(make('option', {}, data.schemes[mixture.scheme]));
    const tell = () => {
      const mixture = data.mixtures[choice.selectedIndex];
      mixtures.querySelector('code').textContent = mixture.command;
      mixtures.querySelector('.count').textContent = `${mixture.size}, ${dB(mixture.db)} dB`;
    };
    choice.addEventListener('input', tell);
    tell();
  }

  const value = (cell) => {
    const text = cell.dataset.value ?? cell.textContent;
    const number = parseFloat(text);
    return Number.isNaN(number) ? text : number;
  };
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = make('button', {type: 'button', onclick: () => {
      const down = heading.getAttribute('aria-sort') === 'ascending';
      for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
      heading.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      rows.sort((a, b) => {
        const x = a.cells[column] ? value(a.cells[column]) : '', y = b.cells[column] ? value(b.cells[column]) : '';
        const numbers = typeof x === 'number' && typeof y === 'number';
        if (typeof x !== typeof y) return typeof x === 'number' ? -1 : 1;
        return (down ? -1 : 1) * (numbers ? x - y : String(x).localeCompare(String(y)));
      });
      table.tBodies[0].append(...rows);
    }});
    button.append(...heading.childNodes);
    heading.append(button);
  });

  function filter() {
    let pattern = null;
    name.setCustomValidity('');
    try { pattern = new RegExp(name.value); } catch { name.setCustomValidity('no regular expression'); }
    name.reportValidity();
    const most = limit.value === '' ? Infinity : Number(limit.value);
    let shown = 0;
    for (const row of rows) {
      const tensor = data.tensors[row.dataset.index];
      const trial = tensor.trials[scheme.value];
      const named = pattern === null || pattern.test(tensor.name);
      const bad = most === Infinity || (trial && trial.db !== null && !trial.problem && trial.db < most);
      row.hidden = !(named && bad);
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${rows.length} tensors`;
  }
  for (const input of [name, limit, scheme]) input.addEventListener('input', filter);

  function histogram(tensor, trial) {
    const {min, max, counts} = tensor.histogram;
    const width = 560, height = 190, top = 24;
    const svg = make('svg', {viewBox: `0 0 ${width} ${height + 24}`, role: 'img',
                             'aria-label': 'Histogram of the numbers with the grid of codes'});
    const most = Math.max(...counts, 1);
    const x = (v) => (v - min) / (max - min) * width;
    counts.forEach((n, i) => {
      const h = Math.sqrt(n / most) * (height - top);  // tails are to be seen, too
      svg.append(make('rect', {class: 'bar', x: i * width / counts.length, width: width / counts.length - 0.5,
                               y: height - h, height: h},
                      make('title', {}, `${n} numbers`)));
    });
    for (const level of trial?.grid ?? []) {
      if (level < min || level > max) continue;
      svg.append(make('line', {class: 'tick', x1: x(level), x2: x(level), y1: 0, y2: 14}));
    }
    svg.append(make('line', {class: 'axis', x1: 0, x2: width, y1: height, y2: height}));
    for (const [at, anchor] of [[min, 'start'], [(min + max) / 2, 'middle'], [max, 'end']]) {
      svg.append(make('text', {x: x(at), y: height + 16, 'text-anchor': anchor}, round(at, 3)));
    }
    return svg;
  }

  const parts = ['clipping', 'rounding', 'zero point', 'stored scale'];
  function ledger(tensor) {
    const bars = tensor.trials.map((trial, i) => ({trial, name: data.schemes[i]}))
                     .filter(({trial}) => trial.ledger && trial.db !== null);
    const width = 560, line = 19, left = 130;
    const svg = make('svg', {viewBox: `0 0 ${width} ${bars.length * line + 22}`, role: 'img',
                             'aria-label': 'What the squared error of each scheme is made of'});
    // Parts below 0 take away from what is right of it.
    const reach = Math.max(1, ...bars.map(({trial}) => trial.ledger.filter((p) => p > 0).reduce((a, b) => a + b, 0)));
    const lowest = Math.min(0, ...bars.map(({trial}) => trial.ledger.filter((p) => p < 0).reduce((a, b) => a + b, 0)));
    const scale = (width - left - 60) / (reach - lowest), zero = left - lowest * scale;
    bars.forEach(({trial, name}, i) => {
      const y = i * line;
      svg.append(make('text', {x: left - 6, y: y + 13, 'text-anchor': 'end'}, name.length > 20 ? name.slice(0, 19) + '…' : name));
      let right = zero, under = zero;
      trial.ledger.forEach((part, p) => {
        const w = Math.abs(part) * scale;
        if (part < 0) under -= w;
        svg.append(make('rect', {x: part < 0 ? under : right, y: y + 3, width: w, height: line - 6, style: `fill: var(--series-${p})`},
                        make('title', {}, `${parts[p]}: ${round(100 * part, 3)} %`)));
        if (part >= 0) right += w;
      });
      svg.append(make('text', {x: right + 6, y: y + 13}, `${dB(trial.db)} dB`));
    });
    const key = make('p', {class: 'legend'});
    parts.forEach((part, p) => {
      const swatch = make('span', {class: 'swatch block', style: `background: var(--series-${p})`});
      key.append(make('span', {class: 'key'}, swatch, part));
    });
    return [svg, key];
  }

  let chosen = null;
  function show(row) {
    if (row) chosen = row;
    if (!chosen) return;
    for (const other of rows) other.setAttribute('aria-selected', other === chosen);
    const tensor = data.tensors[chosen.dataset.index];
    const trial = tensor.trials[scheme.value];
    detail.hidden = false;
    detail.replaceChildren(make('h3', {}, tensor.name));
    const facts = [`[${tensor.shape.join(', ')}] ${tensor.type}`, `σ ${round(tensor.sigma, 4)}`,
                   `mean ${round(tensor.mean, 3)}`, `from ${round(tensor.min, 4)} to ${round(tensor.max, 4)}`,
                   `excess kurtosis ${round(tensor.kurtosis, 3)}`, `${tensor.zeros} zeros`];
    if (tensor.bad) facts.push(`${tensor.bad} NaN or infinite`);
    for (const [what, of] of [['outputs', tensor.outputs], ['inputs', tensor.inputs]]) {
      if (of.outliers === 0) continue;
      const more = of.outliers > of.worst.length ? ', …' : '';
      facts.push(`${of.outliers} outlying ${what} (${of.worst.join(', ')}${more}), the largest ${round(of.factor, 3)} times the median`);
    }
    detail.append(make('p', {class: 'note'}, facts.join(' · ')));
    if (tensor.percentiles.length) {
      detail.append(make('p', {class: 'note'}, 'Percentiles: ' + tensor.percentiles.map(
          ([part, at]) => `${round(part, 3)} % ${round(at, 3)}`).join(' · ')));
    }
    if (tensor.best.length) {
      detail.append(make('p', {class: 'note'}, 'Least error for the bits: ' + tensor.best.map(
          (i) => `${data.schemes[i]} (${round(tensor.trials[i].bits, 3)} bits, ${dB(tensor.trials[i].db)} dB)`).join(' · ')));
    }
    if (trial && trial.problem) detail.append(make('p', {class: 'note'}, `${data.schemes[scheme.value]}: ${trial.problem}`));
    const two = make('div', {class: 'two'});
    if (tensor.histogram.counts.length) {
      const title = trial?.grid?.length ? `Its numbers, and the grid of ${data.schemes[scheme.value]}` : 'Its numbers';
      two.append(make('div', {}, make('h4', {}, title), histogram(tensor, trial),
                      make('p', {class: 'note'}, trial?.grid?.length ? 'Heights are roots of counts; the marks above, what the codes stand for.'
                           : `Heights are roots of counts. ${data.schemes[scheme.value]} has many scales, no one grid.`)));
    }
    if (tensor.trials.some((t) => t.ledger)) {
      two.append(make('div', {}, make('h4', {}, 'What the squared error is made of'), ...ledger(tensor)));
    }
    detail.append(two);
  }
  scheme.addEventListener('input', () => show(null));
  for (const row of rows) {
    row.classList.add('pick');
    row.tabIndex = 0;
    row.addEventListener('click', () => show(row));
    row.addEventListener('keydown', (event) => { if (event.key === 'Enter') show(row); });
  }
  filter();
  if (rows.length) show(rows[0]);
}
