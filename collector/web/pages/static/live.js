// Runs as they happen. A row keeps its place: new ones come in by their start, none is moved.

import {byId, make, svg} from "./elements.js";
import {announce, onKey} from "./page.js";

const body = document.querySelector("table.runs tbody");
const chip = byId("stream");
const pause = byId("pause");
const rows = new Map([...body.querySelectorAll("tr[data-trace]")].map((row) => [row.dataset.trace, row]));
let waiting = [];
let paused = false;

const cell = (className, textContent = "", title = "") => make("td", {className, textContent, title});

function spark(run) {
  const made = cell("spark");
  const drawing = svg("svg", {"aria-hidden": "true"});
  const fill = {running: "running-fill", error: "failed-fill"}[run.state[0]] || "ink-muted";
  drawing.append(svg("rect", {class: "track", width: "100%", height: 8}), svg("rect", {class: fill, width: run.share, height: 8}));
  made.append(drawing);
  return made;
}

function fill(row, run) {
  const state = cell();
  state.append(make("span", {className: `state ${run.state[0]}`, textContent: run.state[0] === "running" ? `running, last span ${run.last}` : run.state[1]}));
  const what = cell("what");
  what.append(make("a", {href: `/runs/${run.trace_id}`, textContent: run.name}), " ", make("span", {className: "muted", textContent: run.title}));
  row.replaceChildren(state, cell("muted", run.start, run.full_start), what, cell("muted models", run.models),
    cell("number", run.duration), spark(run), cell("number", run.input_tokens), cell("number", run.output_tokens),
    cell(`number strong${run.cost === "unpriced" ? " unpriced" : ""}`, run.cost, run.exact_cost), cell("whose", [run.feature, run.user].filter(Boolean).join(" · ")));
}

function show(runs) {
  byId("none").hidden = true;
  for (const run of [...runs].reverse()) {
    let row = rows.get(run.trace_id);
    if (!row) {
      row = make("tr");
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
  pause.ariaPressed = paused;
  pause.textContent = paused ? "Go on" : "Pause";
  chip.textContent = paused ? "paused" : "live";
  if (!paused) { show(waiting); waiting = []; }
}
pause.addEventListener("click", toggle);
onKey([" "], toggle);
addEventListener("pagehide", () => stream.close());
document.body.dataset.ready = "true";
