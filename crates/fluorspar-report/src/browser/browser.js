// The browser of cells: draws, from the JSON beside it, the picked cell in
// every session. Positions are (y, x) in pixels of the frame common to all.
'use strict';

document.querySelectorAll('.browser').forEach((root, number) => {
  const data = JSON.parse(root.querySelector('script').textContent);
  const part = (name) => root.querySelector(`[data-part="${name}"]`);

  // ---- data -------------------------------------------------------------

  const cells = data.cells.map((cell, index) => {
    const entries = cell.entries.map(([state, roi, p, note]) => ({
      state: data.states[state], roi, p: p === null ? null : p / 1000, note,
    }));
    return {
      index, entries, name: cell.name,
      digits: /\d*$/.exec(cell.name)[0],
      confidence: cell.confidence === null ? null : cell.confidence / 1000,
      y: cell.place[0] / data.steps, x: cell.place[1] / data.steps,
      seen: entries.filter((entry) => entry.roi !== null).length,
    };
  });

  // ROIs are found by the squares of the frame that they touch, so that
  // drawing costs what is in the crop, not what is in the session.
  const SQUARE = 32;
  const sessions = data.sessions.map((session, index) => {
    const squares = new Map();
    const rois = session.outlines.map((polygons) => {
      const box = [Infinity, Infinity, -Infinity, -Infinity];
      eachCorner(polygons, data.steps, (y, x) => {
        box[0] = Math.min(box[0], y);
        box[1] = Math.min(box[1], x);
        box[2] = Math.max(box[2], y);
        box[3] = Math.max(box[3], x);
      });
      return { polygons, box, path: null, cell: null };
    });
    rois.forEach((roi, r) => eachSquare(roi.box, (key) => {
      if (!squares.has(key)) squares.set(key, []);
      squares.get(key).push(r);
    }));
    for (const cell of cells) {
      const { roi } = cell.entries[index];
      if (roi !== null) rois[roi].cell = cell.index;
    }
    const image = new Image();
    image.onload = () => { session.crop = ''; redraw(); };
    image.src = session.image;
    return Object.assign(session, { rois, squares, image, crop: '' });
  });

  function eachSquare([top, left, bottom, right], visit) {
    // The frame bounds the walk, whatever a stray corner says.
    const [height, width] = data.size;
    const at = (v, size) => Math.floor(Math.min(Math.max(v, 0), size) / SQUARE);
    if (!(bottom >= top && right >= left)) return;
    for (let y = at(top, height); y <= at(bottom, height); y++) {
      for (let x = at(left, width); x <= at(right, width); x++) visit(y * 65536 + x);
    }
  }

  function within(session, box) {
    const found = new Set();
    eachSquare(box, (key) => (session.squares.get(key) || []).forEach((r) => found.add(r)));
    return [...found].map((r) => session.rois[r]);
  }

  function pathOf(roi) {
    if (roi.path) return roi.path;
    const path = new Path2D();
    eachCorner(roi.polygons, data.steps, (y, x, isFirst, isLast) => {
      if (isFirst) path.moveTo(x, y); else path.lineTo(x, y);
      if (isLast) path.closePath();
    });
    roi.path = path;
    return path;
  }

  // ---- the list -----------------------------------------------------------

  const list = part('list');
  const rows = cells.map((cell) => {
    const strip = element('span', { className: 'browser-mini' });
    const step = 100 / sessions.length;
    strip.style.background = `linear-gradient(90deg, ${cell.entries.map((entry, s) => {
      const ink = entry.roi === null ? 'transparent' : colour(entry.p);
      return `${ink} ${s * step}% ${(s + 1) * step}%`;
    }).join(', ')})`;
    const row = element('div', { id: `browser${number}-${cell.index}` },
      element('span', { className: 'browser-name', textContent: cell.name, title: cell.name }),
      strip, element('span', { textContent: decimals(cell.confidence) }));
    row.setAttribute('role', 'option');
    row.setAttribute('aria-label',
      `${cell.name}, ${cell.seen} sessions, confidence ${decimals(cell.confidence)}`);
    row.onclick = () => pick(cell.index, true);
    return row;
  });

  let shown = [];
  function refill() {
    const text = part('search').value.trim().toLowerCase();
    const least = Number(part('least').value) || 0;
    // A number means that cell first, then those that contain it.
    const exact = (cell) => text !== '' && (cell.digits === text || cell.name.toLowerCase() === text);
    const order = ORDERS[part('sort').value] || ORDERS.number;
    shown = cells
      .filter((cell) => cell.seen >= least && cell.name.toLowerCase().includes(text))
      .sort((a, b) => exact(b) - exact(a) || order(a, b));
    list.replaceChildren(...shown.map((cell) => rows[cell.index]));
    part('count').textContent = shown.length
      ? `${shown.length} of ${cells.length} cells` : 'No cell is like that.';
    if (current !== null) reveal();
  }
  function reveal() {
    const row = rows[current];
    if (!row.isConnected) { list.scrollTop = 0; return; }
    // Not scrollIntoView, which would move the page as well.
    const above = row.offsetTop - list.scrollTop;
    if (above < 0 || above + row.offsetHeight > list.clientHeight) {
      list.scrollTop = row.offsetTop - list.clientHeight / 2;
    }
  }
  function move(by) {
    if (!shown.length) return;
    const at = shown.indexOf(cells[current]);
    const to = at < 0 ? 0 : Math.min(Math.max(at + by, 0), shown.length - 1);
    pick(shown[to].index, true);
  }

  // ---- the address ----------------------------------------------------------

  // Sections are #s0, #s1, …: an equals sign keeps cells apart from them.
  const prefix = number ? `#cell${number + 1}=` : '#cell=';
  const count = new Map();
  cells.forEach(({ digits }) => count.set(digits, (count.get(digits) || 0) + 1));
  const keyOf = (cell) => (cell.digits && count.get(cell.digits) === 1 ? cell.digits : cell.name);
  const byKey = new Map(cells.map((cell) => [keyOf(cell), cell.index]));
  function linked() {
    if (!location.hash.startsWith(prefix)) return null;
    try {
      return byKey.get(decodeURIComponent(location.hash.slice(prefix.length))) ?? null;
    } catch {
      return null;
    }
  }

  // ---- the picked cell --------------------------------------------------------

  let current = null;
  let span = 60;
  let pointer = null;
  const panels = sessions.map((session, s) => {
    const canvas = element('canvas');
    canvas.setAttribute('role', 'img');
    const caption = element('figcaption');
    canvas.onmousemove = (event) => {
      pointer = place(canvas, event);
      const roi = at(s, pointer);
      canvas.style.cursor = roi && roi.cell !== null ? 'pointer' : 'crosshair';
      canvas.title = !roi ? '' : roi.cell === null ? 'a ROI of no cell'
        : `${cells[roi.cell].name}: ${words(cells[roi.cell].entries[s])}`;
      redraw();
    };
    canvas.onmouseleave = () => { pointer = null; redraw(); };
    canvas.onclick = (event) => {
      const roi = at(s, place(canvas, event));
      if (roi && roi.cell !== null) pick(roi.cell, true);
    };
    part('panels').append(element('figure', {}, canvas, caption));
    return { canvas, caption };
  });

  function place(canvas, event) {
    const scale = span / canvas.clientWidth;
    const { y, x } = cells[current];
    return [y - span / 2 + event.offsetY * scale, x - span / 2 + event.offsetX * scale];
  }
  // The smallest ROI there, for small ones lie upon large ones.
  function at(s, [y, x]) {
    const area = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
    const pen = panels[s].canvas.getContext('2d');
    pen.setTransform(1, 0, 0, 1, 0, 0);
    return within(sessions[s], [y, x, y, x])
      .filter((roi) => pen.isPointInPath(pathOf(roi), x, y, 'evenodd'))
      .sort((a, b) => area(a) - area(b))[0];
  }

  function pick(index, tell) {
    if (current !== null) rows[current].removeAttribute('aria-selected');
    current = index;
    const cell = cells[index];
    rows[index].setAttribute('aria-selected', 'true');
    list.setAttribute('aria-activedescendant', rows[index].id);
    reveal();
    part('title').replaceChildren(cell.name, element('span', {
      textContent: `confidence ${decimals(cell.confidence)}, in ${cell.seen} of ${sessions.length} sessions`,
    }));
    part('strip').replaceChildren(
      element('tr', {}, element('th', { scope: 'row', textContent: 'session' }),
        ...sessions.map(({ name }) => element('th', { scope: 'col', textContent: name }))),
      element('tr', {}, element('th', { scope: 'row', textContent: 'p' }),
        ...cell.entries.map((entry) => element('td', { title: words(entry) }, chip(entry)))),
    );
    panels.forEach(({ canvas, caption }, s) => {
      const entry = cell.entries[s];
      canvas.setAttribute('aria-label', `${cell.name}, ${sessions[s].name}: ${words(entry)}`);
      caption.replaceChildren(
        element('b', { textContent: sessions[s].name }), entry.p === null ? '' : chip(entry),
        element('br'), [entry.state, entry.note].filter(Boolean).join(' · '));
    });
    const far = (other) => Math.hypot(other.y - cell.y, other.x - cell.x);
    const near = cells.filter((other) => other !== cell && far(other) < span / 2)
      .sort((a, b) => far(a) - far(b)).slice(0, 6);
    part('near').replaceChildren('Near: ', ...near.map((other) => element('button', {
      type: 'button', textContent: other.name,
      // The button goes with its cell: the focus needs another place.
      onclick: () => { pick(other.index, true); list.focus({ preventScroll: true }); },
    })), near.length ? '' : 'no other cell');
    if (tell) {
      const hash = prefix + encodeURIComponent(keyOf(cell));
      // Replaced, not added: going back should leave the page, not step through cells.
      try { history.replaceState(null, '', hash); } catch { /* a page without an address */ }
    }
    redraw();
  }

  // ---- drawing ------------------------------------------------------------------

  let waiting = false;
  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      part('span').textContent = `${Math.round(span)} px`;
      if (current !== null) sessions.forEach((_, s) => draw(s));
    });
  }

  // The pixels around the cell, stretched if wished; kept until another crop is needed.
  function cropOf(session, top, left) {
    const y0 = Math.floor(top);
    const x0 = Math.floor(left);
    const side = Math.ceil(span) + 2;
    const wanted = [y0, x0, side, part('stretch').checked].join();
    if (session.crop !== wanted) {
      session.crop = wanted;
      session.pixels = element('canvas', { width: side, height: side });
      const pen = session.pixels.getContext('2d', { willReadFrequently: true });
      pen.drawImage(session.image, -x0, -y0);
      if (part('stretch').checked) stretch(pen, side);
    }
    return [session.pixels, x0, y0];
  }
  function draw(s) {
    const { canvas } = panels[s];
    const session = sessions[s];
    const cell = cells[current];
    const dots = window.devicePixelRatio || 1;
    const side = Math.round(canvas.clientWidth * dots);
    if (!side) return;
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const scale = side / span;
    const top = cell.y - span / 2;
    const left = cell.x - span / 2;
    const pen = canvas.getContext('2d');
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, side, side);
    pen.setTransform(scale, 0, 0, scale, -left * scale, -top * scale);
    pen.imageSmoothingEnabled = false;
    if (session.image.complete && session.image.naturalWidth) pen.drawImage(...cropOf(session, top, left));

    // Widths are in pixels of the screen, whatever the crop.
    const stroke = (path, width, ink, dash = []) => {
      pen.lineWidth = (width * dots) / scale;
      pen.setLineDash(dash.map((length) => (length * dots) / scale));
      pen.strokeStyle = ink;
      pen.stroke(path);
    };
    pen.lineJoin = 'round';
    if (part('outlines').checked) {
      const own = cell.entries[s].roi === null ? null : session.rois[cell.entries[s].roi];
      for (const roi of within(session, [top, left, top + span, left + span])) {
        if (roi !== own) stroke(pathOf(roi), 1, 'rgba(205,212,220,0.75)');
      }
      // On something dark, for cells are bright.
      const shade = 'rgba(0,0,0,0.45)';
      for (const roi of elsewhere(cell, s)) {
        stroke(pathOf(roi), 3, shade);
        stroke(pathOf(roi), 1.5, '#8fe0ff', [2, 3]);
      }
      if (own) {
        stroke(pathOf(own), 4.5, shade);
        stroke(pathOf(own), 2.5, colour(cell.entries[s].p));
      }
    }
    if (pointer) {
      const arm = (6 * dots) / scale;
      const [y, x] = pointer;
      const cross = new Path2D();
      cross.moveTo(x - arm, y); cross.lineTo(x + arm, y);
      cross.moveTo(x, y - arm); cross.lineTo(x, y + arm);
      stroke(cross, 1, '#fff');
    }
  }
  // The cell's outlines of other sessions: all if asked for; where it has no
  // ROI, those of the sessions before and after.
  function elsewhere(cell, s) {
    const has = (t) => t !== s && cell.entries[t].roi !== null;
    const all = sessions.map((_, t) => t).filter(has);
    const both = [all.filter((t) => t < s).pop(), all.find((t) => t > s)];
    const chosen = part('others').checked ? all
      : cell.entries[s].roi === null ? both.filter((t) => t !== undefined) : [];
    return chosen.map((t) => sessions[t].rois[cell.entries[t].roi]);
  }

  // ---- controls -----------------------------------------------------------------

  function zoom(by) {
    span = Math.min(Math.max(span * by, 15), Math.max(...data.size, 60));
    redraw();
  }
  part('previous').onclick = () => move(-1);
  part('next').onclick = () => move(1);
  part('in').onclick = () => zoom(0.8);
  part('out').onclick = () => zoom(1.25);
  for (const name of ['outlines', 'others', 'stretch']) part(name).onchange = redraw;
  for (const name of ['search', 'sort', 'least']) part(name).oninput = refill;
  part('search').onkeydown = (event) => {
    if (event.key === 'Enter' && shown.length) pick(shown[0].index, true);
  };
  document.addEventListener('keydown', (event) => {
    const { target } = event;
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) && target.type !== 'checkbox') return;
    // Without a focus of its own, keys go to the browser on the screen.
    const box = root.getBoundingClientRect();
    const visible = box.bottom > 100 && box.top < window.innerHeight - 100;
    if (!root.contains(target) && !(target === document.body && visible)) return;
    const act = {
      ArrowLeft: () => move(-1), ArrowRight: () => move(1),
      '+': () => zoom(0.8), '-': () => zoom(1.25),
      ...(target === list && {
        ArrowUp: () => move(-1), ArrowDown: () => move(1),
        PageUp: () => move(-10), PageDown: () => move(10),
        Home: () => move(-cells.length), End: () => move(cells.length),
      }),
    }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  window.addEventListener('hashchange', follow);
  function follow() {
    const index = linked();
    if (index === null) return false;
    pick(index, false);
    root.scrollIntoView();
    return true;
  }

  root.querySelector('.browser-parts').hidden = false;
  refill();
  if (!follow()) pick(shown.length ? shown[0].index : 0, false);
  new ResizeObserver(redraw).observe(part('panels'));
});
