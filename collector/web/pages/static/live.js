// Runs as they happen. A row keeps its place: new ones come in by their start, none is moved.

import {announce, onKey} from "./page.js";

const body = document.querySelector("table.runs tbody");
const chip = document.getElementById("stream");
const pause = document.getElementById("pause");
const rows = new Map([...body.querySelectorAll("tr[data-trace]")].map((row) => [row.dataset.trace, row]));
let waiting = [];
let paused = false;

const cell = (name, text) => Object.assign(document.createElement("td"), {className: name, textContent: text});

const SVG = "http://www.w3.org/2000/svg";

function spark(run) {
  const made = cell("spark", "");
  const drawing = document.createElementNS(SVG, "svg");
  for (const [name, width] of [["track", "100%"], [run.state[0] === "running" ? "running-fill" : run.state[0] === "error" ? "failed-fill" : "ink-muted", run.share]]) {
    const part = document.createElementNS(SVG, "rect");
    for (const [key, value] of Object.entries({class: name, width, height: 8})) part.setAttribute(key, value);
    drawing.append(part);
  }
  drawing.setAttribute("aria-hidden", "true");
  made.append(drawing);
  return made;
}

function fill(row, run) {
  const state = cell("", "");
  const word = Object.assign(document.createElement("span"), {className: `state ${run.state[0]}`, textContent: run.state[0] === "running" ? `running, last span ${run.last}` : run.state[1]});
  state.append(word);
  const what = cell("what", "");
  const link = Object.assign(document.createElement("a"), {href: `/runs/${run.trace_id}`, textContent: run.name});
  what.append(link, " ", Object.assign(document.createElement("span"), {className: "muted", textContent: run.title}));
  const whose = cell("whose", [run.feature, run.user].filter(Boolean).join(" · "));
  const cost = cell(`number strong${run.cost === "unpriced" ? " unpriced" : ""}`, run.cost);
  cost.title = run.exact_cost;
  row.replaceChildren(state, Object.assign(cell("muted", run.start), {title: run.full_start}), what, cell("muted models", run.models),
    cell("number", run.duration), spark(run), cell("number", run.input_tokens), cell("number", run.output_tokens), cost, whose);
}

function show(runs) {
  document.getElementById("none").hidden = true;
  for (const run of [...runs].reverse()) {
    let row = rows.get(run.trace_id);
    if (!row) {
      row = document.createElement("tr");
      row.dataset.trace = run.trace_id;
      rows.set(run.trace_id, row);
      row.dataset.start = run.order;
      body.insertBefore(row, [...body.querySelectorAll("tr[data-trace]")].find((other) => Number(other.dataset.start) < run.order) || null);
      announce(`A run of ${run.name} began.`);
    }
    if (!row.contains(document.activeElement)) fill(row, run);
  }
}

function take(runs) {
  if (paused) waiting.push(...runs);
  else show(runs);
}

const stream = new EventSource("/live/events");
stream.addEventListener("open", () => { chip.textContent = paused ? "paused" : "live"; });
stream.addEventListener("error", () => { chip.textContent = "connecting again"; });
stream.addEventListener("trouble", (event) => { chip.textContent = JSON.parse(event.data); });
stream.addEventListener("runs", (event) => take(JSON.parse(event.data)));
chip.hidden = pause.hidden = false;
chip.textContent = "connecting";
function toggle() {
  paused = !paused;
  pause.setAttribute("aria-pressed", paused);
  pause.textContent = paused ? "Go on" : "Pause";
  chip.textContent = paused ? "paused" : "live";
  if (!paused) { show(waiting); waiting = []; }
}
pause.addEventListener("click", toggle);
onKey([" "], (event) => (event.target.closest?.("button, a, summary") ? false : toggle()));
addEventListener("pagehide", () => stream.close());
document.body.dataset.ready = "true";
