// The whole run in one strip: a lane per kind, errors as lines, and handles at the ends of the time that rows show.

import {make, onNextFrame} from "./elements.js";
import {mark as label, marks} from "./format.js";

const HANDLE = 8;

export class Minimap {
  /** `changed(from, to)` is called while a window of the time line is chosen. */
  constructor(element, tree, changed) {
    Object.assign(this, {element, tree, changed, window: [0, tree.length]});
    this.canvas = element.querySelector("canvas");
    element.hidden = false;
    this.kinds = ["llm", "tool", "eval", "internal"].filter((kind) => tree.kind.includes(kind));
    if (!this.kinds.length) this.kinds = ["agent"];
    this.later = onNextFrame(() => this.draw());
    const again = () => { this.picture = null; this.later(); };
    new ResizeObserver(again).observe(element);
    document.addEventListener("themechange", again);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    this.canvas.addEventListener("pointerdown", (event) => this.#grab(event));
  }

  show(window) {
    this.window = window;
    this.later();
  }

  #grab(event) {
    const at = (moved) => Math.min(Math.max((moved.offsetX / this.canvas.clientWidth) * this.tree.length, 0), this.tree.length);
    const near = (us) => Math.abs((us / this.tree.length) * this.canvas.clientWidth - event.offsetX) < HANDLE;
    const begun = at(event);
    const fixed = near(this.window[0]) ? this.window[1] : near(this.window[1]) ? this.window[0] : begun;
    const move = (moved) => {
      const [from, to] = [fixed, at(moved)].sort((one, other) => one - other);
      if (to - from > this.tree.length / 2000) this.changed(from, to);
    };
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.addEventListener("pointermove", move);
    this.canvas.addEventListener("pointerup", () => this.canvas.removeEventListener("pointermove", move), {once: true});
  }

  draw() {
    const {canvas, tree} = this;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (!width) return;
    const colour = (name) => { // the theme's, worked out by the browser
      canvas.style.color = `var(--${name})`;
      return getComputedStyle(canvas).color;
    };
    const x = (us) => (us / tree.length) * width;
    this.picture ??= this.#picture(x, width, height, colour);
    Object.assign(canvas, {width: this.picture.width, height: this.picture.height});
    const pen = canvas.getContext("2d");
    pen.drawImage(this.picture, 0, 0);
    pen.scale(devicePixelRatio || 1, devicePixelRatio || 1);
    this.#handles(pen, x, width, height, colour);
  }

  /** All but the window, which is drawn once: spans do not change. */
  #picture(x, width, height, colour) {
    const {tree} = this;
    const scale = devicePixelRatio || 1;
    const picture = make("canvas", {width: width * scale, height: height * scale});
    const pen = picture.getContext("2d");
    pen.scale(scale, scale);
    pen.fillStyle = colour("surface");
    pen.fillRect(0, 0, width, height);
    this.#marks(pen, x, width, height, colour);
    const lane = Math.min(11, (height - 18) / this.kinds.length);
    for (const [number, kind] of this.kinds.entries()) {
      pen.fillStyle = kind === "tool" ? hatched(pen, colour("tool"), colour("surface")) : colour(kind);
      const top = 18 + number * lane;
      const tall = kind === "internal" ? 2 : lane - 3;
      for (let row = 0; row < tree.size; row++) {
        if (tree.kind[row] === kind) pen.fillRect(x(tree.start[row]), top, Math.max(x(tree.duration[row]), 1), tall);
      }
    }
    pen.strokeStyle = pen.fillStyle = colour("error");
    for (const row of tree.errors.keys()) {
      const at = Math.round(x(tree.start[row])) + 0.5;
      pen.beginPath();
      pen.moveTo(at, 16); pen.lineTo(at, height - 6);
      pen.moveTo(at - 2.5, height - 6); pen.lineTo(at + 2.5, height - 1); pen.moveTo(at + 2.5, height - 6); pen.lineTo(at - 2.5, height - 1);
      pen.stroke();
    }
    return picture;
  }

  #marks(pen, x, width, height, colour) {
    pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    for (const mark of marks(0, this.tree.length, Math.max(2, Math.floor(width / 110)))) {
      pen.fillStyle = colour("line");
      pen.fillRect(Math.round(x(mark)), 0, 1, height);
      pen.fillStyle = colour("muted");
      pen.fillText(label(mark), x(mark) + 4, 12);
    }
    pen.strokeStyle = colour("strong");
    pen.strokeRect(0.5, 0.5, width - 1, height - 1);
  }

  #handles(pen, x, width, height, colour) {
    const [from, to] = this.window.map(x);
    pen.fillStyle = colour("page");
    pen.globalAlpha = 0.65;
    pen.fillRect(0, 0, from, height);
    pen.fillRect(to, 0, width - to, height);
    pen.globalAlpha = 1;
    pen.strokeStyle = colour("border");
    pen.fillStyle = colour("page");
    for (const at of [Math.max(from, 2.5), Math.min(to, width - 2.5)]) {
      pen.fillRect(at - 2, height / 2 - 8, 4, 16);
      pen.strokeRect(at - 2, height / 2 - 8, 4, 16);
    }
  }
}

function hatched(pen, ink, paper) {
  const tile = make("canvas", {width: 6, height: 6});
  const draw = tile.getContext("2d");
  draw.fillStyle = paper;
  draw.fillRect(0, 0, 6, 6);
  draw.strokeStyle = ink;
  draw.lineWidth = 2;
  for (const shift of [-6, 0, 6]) { draw.beginPath(); draw.moveTo(shift - 1, 7); draw.lineTo(shift + 7, -1); draw.stroke(); }
  return pen.createPattern(tile, "repeat");
}
