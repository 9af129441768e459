// The rows of a waterfall: only those in sight are elements, however many there are.

import {byId, isElsewhere, make, onNextFrame, svg} from "./elements.js";
import {count, duration, mark as label, marks, money} from "./format.js";

const SPARE = 8;
const TEXTURE = 7; // narrower bars are drawn solid
const rect = (name, x, y, width, height) => svg("rect", {class: name, x: x.toFixed(2), y, width: width.toFixed(2), height});
const span = (className, textContent = "") => make("span", {className, textContent});

export class Rows {
  /** `actions`: select(row), open(row), toggle(row). */
  constructor(container, tree, decimals, base, actions) {
    Object.assign(this, {container, tree, decimals, base, actions, selected: -1, window: [0, tree.length], fit: false});
    this.canvas = make("div", {className: "canvas"});
    this.grid = make("div", {className: "grid"});
    this.gridLines = svg("svg", {"aria-hidden": "true"});
    this.grid.append(this.gridLines);
    container.replaceChildren(this.grid, this.canvas);
    Object.assign(container, {role: "tree", ariaLabel: "Spans", tabIndex: 0});
    this.elements = new Map();
    const later = onNextFrame(() => this.draw());
    container.addEventListener("scroll", later, {passive: true});
    container.addEventListener("click", (event) => this.#clicked(event));
    new ResizeObserver(later).observe(container);
  }

  get height() { // of a row, as the style sheet has it
    return matchMedia("(max-width: 720px)").matches ? 52 : 24;
  }

  #clicked(event) {
    const element = event.target.closest(".row");
    if (!element || isElsewhere(event)) return;
    event.preventDefault();
    const row = Number(element.dataset.row);
    if (event.target.closest(".fold") || this.tree.isGroup(row)) this.actions.toggle(row);
    else this.actions.open(row);
  }

  /** Draws what is in sight; `all` also what has been drawn already. */
  draw(all = false) {
    const {tree, height} = this;
    const total = tree.visible.length;
    this.canvas.style.height = `${total * height}px`;
    const {scrollTop, clientHeight} = this.container;
    const from = Math.floor(scrollTop / height);
    const to = Math.ceil((scrollTop + clientHeight) / height);
    const [first, after] = [Math.max(0, from - SPARE), Math.min(total, to + SPARE)];
    if (this.fit) {
      const seen = tree.range(from, to);
      if (seen[0] !== this.window[0] || seen[1] !== this.window[1]) { this.window = seen; all = true; this.actions.moved?.(); }
    }
    const width = this.#barWidth();
    if (width !== this.width || all) { this.width = width; this.#drop(); this.#axis(); }
    const wanted = new Map();
    for (let at = first; at < after; at++) wanted.set(tree.visible[at], at);
    for (const [row, element] of this.elements) if (!wanted.has(row)) { element.remove(); this.elements.delete(row); }
    const fresh = document.createDocumentFragment();
    for (const [row, at] of wanted) {
      let element = this.elements.get(row);
      if (!element) { element = this.#row(row); this.elements.set(row, element); fresh.append(element); }
      element.style.transform = `translateY(${at * height}px)`;
    }
    this.canvas.append(fresh);
  }

  #drop() {
    for (const element of this.elements.values()) element.remove();
    this.elements.clear();
  }

  #barWidth() {
    return Math.max(40, byId("axis").clientWidth || this.container.clientWidth - 32);
  }

  x(us) {
    return ((us - this.window[0]) / (this.window[1] - this.window[0])) * this.width;
  }

  #axis() {
    const found = marks(this.window[0], this.window[1], Math.max(4, Math.floor(this.width / 90)));
    byId("axis").replaceChildren(...found.map((mark) => svg("text", {x: this.x(mark).toFixed(1), y: 15}, label(mark))));
    const tall = this.container.clientHeight;
    this.gridLines.replaceChildren(...found.map((mark) => svg("line", {x1: this.x(mark).toFixed(1), x2: this.x(mark).toFixed(1), y1: 0, y2: tall})));
  }

  #row(row) {
    const {tree} = this;
    const number = tree.members(row);
    const failed = tree.errors.has(row);
    const spent = number > 1 ? this.#together(row, number) : tree.duration[row];
    const open = tree.expanded(row);
    const element = make("div", {
      id: `row-${row}`, role: "treeitem", ariaLevel: tree.depth[row] + 1, ariaPosInSet: tree.place[row], ariaSetSize: tree.among[row],
      ariaSelected: row === this.selected, ariaExpanded: open, ariaLabel: tree.sentence(row, spent, duration),
      className: `row level-${Math.min(tree.depth[row] + 1, 12)}${failed ? " failed" : ""}${row === this.selected ? " chosen" : ""}${row === tree.dearest ? " dearest" : ""}`,
    });
    element.dataset.row = row;
    element.append(this.#name(row, number, open), span("number duration", duration(spent)),
      this.#tokens(row, number), this.#cost(row, number), this.#bar(row, number));
    return element;
  }

  #name(row, number, open) {
    const {tree} = this;
    const name = span("name");
    if (open !== null) name.append(Object.assign(span("fold", open ? "▾" : "▸"), {ariaHidden: "true"}));
    const link = make("a", {href: `${this.base}/spans/${tree.ids[row]}`, tabIndex: -1, textContent: number > 1 ? `${tree.name[row]} × ${number}` : tree.name[row]});
    name.append(span(`kind ${tree.kind[row]}`, tree.kind[row]), link);
    const details = [];
    if (number > 1) details.push("folded");
    else if (tree.groups.has(row) && tree.opened.has(row)) details.push(`first of ${tree.groups.get(row)}`);
    if (tree.rounds.has(row)) details.push(`round ${tree.rounds.get(row)}`);
    if (open === false && number === 1) details.push(`${count(tree.last[row] - row - 1)} within`);
    if (tree.early(row)) details.push(`starts ${duration(tree.early(row))} before its parent`);
    if (details.length) name.append(span("detail", details.join(", ")));
    if (tree.errors.has(row) && number === 1) name.append(span("detail error-text", tree.errors.get(row)));
    return name;
  }

  #together(row, number) {
    let end = 0;
    for (let at = row; at < row + number; at++) end = Math.max(end, this.tree.end(at));
    return end - this.tree.start[row];
  }

  #tokens(row, number) {
    const {tree} = this;
    const shown = tree.isSum(row) ? tree.tokensBelow[row] : number > 1 ? 0 : tree.tokens[row];
    return span("number tokens", shown ? count(shown) : "");
  }

  #cost(row, number) {
    const {tree} = this;
    const cell = span("number cost");
    if (tree.unpriced.has(row)) return span("number cost unpriced", "unpriced");
    const isSum = tree.isSum(row);
    let amount = isSum ? tree.below[row] : tree.cost[row];
    for (let at = row + 1; at < row + number; at++) if (tree.cost[at] !== null) amount = (amount || 0) + tree.cost[at];
    if (amount === null) return cell;
    if (isSum) cell.append(Object.assign(span("sum", "Σ"), {title: "the sum of what is below"}));
    cell.append(money(amount, this.decimals));
    if (!isSum && number === 1) cell.title = `$${tree.exact[row]}`;
    return cell;
  }

  #bar(row, number) {
    const {tree} = this;
    const cell = span("bar");
    const drawing = svg("svg", {"aria-hidden": "true"});
    let failedAt = -1;
    for (let at = row; at < row + number; at++) {
      const [x, width] = this.geometry(at);
      if (x > this.width || x + width < 0) continue;
      const begin = Math.max(x, -4);
      const wide = Math.max(Math.min(x + width, this.width + 4) - begin, 2);
      const failed = tree.errors.has(at);
      if (failed) failedAt = begin + wide;
      const kind = `${tree.kind[at]}${wide < TEXTURE ? " thin" : ""}${failed ? " failed" : ""}`;
      drawing.append(rect(kind, begin, 6, wide, 12));
      if (tree.critical.has(at)) drawing.append(rect("critical", begin, 19.5, wide, 1.5));
    }
    if (number === 1) this.#edges(drawing, row);
    if (number === 1 && tree.kind[row] !== "agent") for (const [from, to] of tree.covered(row)) {
      const begin = Math.max(this.x(from), -4);
      drawing.append(rect("within", begin, 7, Math.max(Math.min(this.x(to), this.width + 4) - begin, 0), 10));
    }
    if (number === 1 && tree.parent[row] < 0 && tree.kind[row] === "agent") for (const [from, to] of (this.rootGaps ??= tree.gaps(row))) {
      drawing.append(rect("gap", this.x(from), 7, Math.max(this.x(to) - this.x(from), 0), 10));
    }
    if (failedAt >= 0) {
      const near = failedAt + 56 > this.width;
      drawing.append(svg("text", {x: (near ? Math.min(failedAt, this.width) - 60 : failedAt + 4).toFixed(1), y: 16}, "✕ error"));
    }
    cell.append(drawing);
    return cell;
  }

  /** A thin tail until what is within has ended, and a line where the parent starts later than its child. */
  #edges(drawing, row) {
    const {tree} = this;
    const end = this.x(tree.end(row));
    const tail = Math.min(this.x(tree.until[row]), this.width + 4) - Math.max(end, 0);
    if (tail > 0 && tree.until[row] > tree.end(row)) drawing.append(rect("tail", Math.max(end, 0), 11, tail, 1.5));
    if (tree.early(row)) drawing.append(rect("early", this.x(tree.start[tree.parent[row]]) - 0.75, 3, 1.5, 18));
  }

  /** Where a span's bar begins and how wide it is, in pixels of the time line. */
  geometry(row) {
    const x = this.x(this.tree.start[row]);
    return [x, this.x(this.tree.end(row)) - x];
  }

  /** Chooses a row and brings it into sight. */
  select(row) {
    const before = this.selected;
    this.selected = row;
    for (const one of [before, row]) {
      const element = this.elements.get(one);
      if (!element) continue;
      element.classList.toggle("chosen", one === row);
      element.ariaSelected = one === row;
    }
    const at = this.tree.visible.indexOf(row);
    if (at < 0) return;
    const top = at * this.height;
    const {container} = this;
    container.scrollTop = Math.max(Math.min(container.scrollTop, top), top + this.height - container.clientHeight);
    this.draw();
    container.setAttribute("aria-activedescendant", `row-${row}`);
  }
}
