// What the browser of cells is made with: elements, words, colours, geometry.
'use strict';

const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

// Red at 0, yellow at ½, green at 1; blue where there is no probability.
function colour(p) {
  if (p === null) return '#56b4e9';
  const share = (v) => Math.round(Math.min(Math.max(v, 0), 1) * 230);
  return `rgb(${share(2 - 2 * p)},${share(2 * p)},60)`;
}

const decimals = (p) => (p === null ? '–' : p.toFixed(2));
const words = (entry) => [entry.state, entry.note, entry.p === null ? '' : `p ${decimals(entry.p)}`]
  .filter(Boolean).join(', ');

function chip(entry) {
  const made = element('span', { className: 'browser-p', textContent: decimals(entry.p) });
  if (entry.p !== null) {
    made.style.background = colour(entry.p);
    made.style.color = entry.p < 0.15 ? '#fff' : '#1c2530';
  }
  return made;
}

const ORDERS = {
  number: (a, b) => a.index - b.index,
  doubtful: (a, b) => (a.confidence ?? 2) - (b.confidence ?? 2) || a.index - b.index,
  sure: (a, b) => (b.confidence ?? -1) - (a.confidence ?? -1) || a.index - b.index,
  many: (a, b) => b.seen - a.seen || a.index - b.index,
  few: (a, b) => a.seen - b.seen || a.index - b.index,
};

// A polygon is its first corner and the steps from corner to corner.
function eachCorner(polygons, steps, visit) {
  for (const walk of polygons) {
    for (let i = 0, y = 0, x = 0; i < walk.length; i += 2) {
      y += walk[i];
      x += walk[i + 1];
      visit(y / steps, x / steps, i === 0, i + 2 === walk.length);
    }
  }
}

// Spreads the 1st to the 99.5th percentile of what the session saw over all greys.
function stretch(pen, side) {
  const image = pen.getImageData(0, 0, side, side);
  const bytes = image.data;
  const histogram = new Uint32Array(256);
  let total = 0;
  for (let i = 0; i < bytes.length; i += 4) if (bytes[i + 3]) { histogram[bytes[i]]++; total++; }
  const level = (share) => {
    let value = 0;
    for (let sum = histogram[0]; sum <= share * total && value < 255; sum += histogram[value]) value++;
    return value;
  };
  const low = level(0.01);
  const range = Math.max(level(0.995) - low, 1);
  for (let i = 0; i < bytes.length; i += 4) {
    bytes[i] = bytes[i + 1] = bytes[i + 2] = (255 * (bytes[i] - low)) / range;
  }
  pen.putImageData(image, 0, 0);
}
