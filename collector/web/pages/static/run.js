// The waterfall of a run: rows, minimap, filters, the span beside them, and the keys for all of it.

import {Drawer} from "./drawer.js";
import {byId, isElsewhere} from "./elements.js";
import {count} from "./format.js";
import {Minimap} from "./minimap.js";
import {announce, onKey} from "./page.js";
import {Rows} from "./rows.js";
import {Tree} from "./tree.js";

const FIT_FROM = 1000; // spans from which on the axis follows the rows in sight
const place = byId("waterfall");
const base = location.pathname;
const answer = await (await fetch(`/api/v1/runs/${place.dataset.trace}/spans`)).json();
const tree = new Tree(answer);
const container = byId("rows");
const asked = new URLSearchParams(location.search);
document.body.classList.add("live");

// -- the address holds what is seen --

const KINDS = ["agent", "llm", "tool", "eval", "internal"];
const state = {kinds: new Set(KINDS), only: "", text: ""};

function address() {
  const found = new URLSearchParams();
  if (drawer.shown) found.set("span", drawer.shown);
  if (state.kinds.size < 5) found.set("kinds", [...state.kinds].join(","));
  if (state.only) found.set("only", state.only);
  if (state.text) found.set("q", state.text);
  if (rows.window[0] > 0 || rows.window[1] < tree.length) if (!rows.fit) { found.set("from", Math.round(rows.window[0])); found.set("to", Math.round(rows.window[1])); }
  if (rows.fit !== tree.size > FIT_FROM) found.set("fit", rows.fit ? "1" : "0");
  const folded = [...tree.closed].filter((row) => !(tree.size > 200 && tree.depth[row] >= 3));
  if (folded.length && folded.length < 50) found.set("fold", folded.join("."));
  return found.size ? `${base}?${found}` : base;
}

function remember(push = false) {
  const target = address();
  const kept = {scroll: container.scrollTop, span: drawer.shown};
  if (push && target !== location.pathname + location.search) history.pushState(kept, "", target);
  else history.replaceState(kept, "", target);
}

// -- rows, minimap, drawer --

const rows = new Rows(container, tree, Number(place.dataset.decimals), base, {
  open: (row) => open(row),
  toggle: (row) => { tree.toggle(row); rows.draw(true); remember(); },
  moved: () => minimap.show(rows.window),
});
const minimap = new Minimap(byId("minimap"), tree, (from, to) => show([from, to]));
const drawer = new Drawer(byId("drawer"), byId("panes"), base, {
  closed: () => { remember(true); rows.draw(true); container.focus(); },
  open: (spanId) => open(tree.positions.get(spanId)),
});

function show(window) {
  setFit(false);
  const length = Math.min(Math.max(window[1] - window[0], 1), tree.length);
  const from = Math.min(Math.max(window[0], 0), tree.length - length);
  rows.window = [from, from + length];
  rows.draw(true);
  minimap.show(rows.window);
  remember();
}

function select(row) {
  if (row === undefined || row < 0) return;
  if (!tree.reveal(row)) { clearFilters(); tree.reveal(row); }
  rows.draw(true);
  rows.select(row);
}

function open(row) {
  if (row === undefined) return;
  const first = !drawer.isOpen;
  select(row);
  drawer.open(tree.ids[row]).then(() => rows.select(row));
  remember(first);
  if (first) rows.draw(true);
  container.focus({preventScroll: true});
}

// -- filters --

const limit = (only) => Number(document.querySelector(`[data-only=${only}]`)?.dataset.limit);
const [slow, dear] = [limit("slow"), limit("dear")];
const ONLY = {
  errors: (row) => tree.errors.has(row),
  critical: (row) => tree.critical.has(row),
  slow: (row) => tree.duration[row] > slow,
  dear: (row) => tree.cost[row] > dear,
};
const filters = document.querySelectorAll(".filter[data-kind], .filter[data-only]");
const matchCount = byId("match-count");
const textFilter = byId("text-filter");
byId("matches").hidden = false;

function filterButtons() {
  for (const link of filters) {
    const {only} = link.dataset;
    link.role = "button";
    link.addEventListener("click", (event) => {
      event.preventDefault();
      if (only) state.only = state.only === only ? "" : only;
      else toggleKind(link.dataset.kind);
      filter();
    });
    link.addEventListener("keydown", (event) => { if (event.key === " ") { event.preventDefault(); link.click(); } });
  }
}

function toggleKind(kind) {
  state.kinds[state.kinds.has(kind) ? "delete" : "add"](kind);
  if (!state.kinds.size) state.kinds = new Set(KINDS);
}

function clearFilters() {
  Object.assign(state, {kinds: new Set(KINDS), only: "", text: ""});
  textFilter.value = "";
  filter();
}

function filter() {
  for (const link of filters) {
    const {kind, only} = link.dataset;
    const on = kind ? state.kinds.has(kind) : only === state.only;
    link.classList.toggle(kind ? "on" : "set", on);
    if (kind) link.classList.toggle("off", !on);
    link.ariaPressed = on;
  }
  const text = state.text.toLowerCase();
  const all = state.kinds.size === 5 && !state.only && !text;
  const matches = (row) => tree.ids[row] && state.kinds.has(tree.kind[row]) && (!state.only || ONLY[state.only](row))
    && (!text || `${tree.name[row]} ${tree.model[row]} ${tree.ids[row]} ${tree.errors.get(row) || ""}`.toLowerCase().includes(text));
  tree.filter = all ? null : matches;
  tree.refresh();
  matched();
  container.scrollTop = 0;
  rows.draw(true);
  if (!all) announce(`${tree.visible.length} of ${tree.size} spans.`);
  remember();
}

function matched() {
  const at = tree.visible.indexOf(rows.selected);
  matchCount.textContent = tree.filter ? `${at < 0 ? "" : `${count(at + 1)} of `}${count(tree.visible.length)}` : "no filter";
}

function step(rowsToTry, by) {
  const from = rows.selected;
  const ordered = by > 0 ? rowsToTry : [...rowsToTry].reverse();
  const next = ordered.find((row) => (by > 0 ? row > from : row < from)) ?? ordered[0];
  if (next !== undefined) { drawer.isOpen ? open(next) : select(next); matched(); }
}

const errorRows = [...tree.errors.keys()].sort((one, other) => one - other);
const nextMatch = (by) => () => step(tree.filter ? tree.visible : errorRows, by);
byId("next").addEventListener("click", nextMatch(1));
byId("previous").addEventListener("click", nextMatch(-1));
textFilter.addEventListener("input", () => { state.text = textFilter.value; filter(); });
textFilter.addEventListener("keydown", (event) => { if (event.key === "Enter") { nextMatch(1)(); container.focus(); } });

const fitButton = byId("fit");
function setFit(on) {
  rows.fit = on;
  fitButton.ariaPressed = on;
}
function toggleFit() {
  setFit(!rows.fit);
  if (!rows.fit) rows.window = [0, tree.length];
  rows.draw(true);
  minimap.show(rows.window);
  remember();
}
fitButton.addEventListener("click", toggleFit);

// -- keys --

const slowest = tree.kind.reduce((best, kind, row) => (kind === "tool" && (best < 0 || tree.duration[row] > tree.duration[best]) ? row : best), -1);
const move = (by) => () => {
  const at = tree.visible.indexOf(rows.selected);
  const next = tree.visible[Math.min(Math.max(at + by, 0), tree.visible.length - 1)];
  if (next === undefined) return;
  rows.select(next);
  if (drawer.isOpen && tree.ids[next]) { drawer.open(tree.ids[next]); remember(); }
  container.focus({preventScroll: true});
  matched();
};
const zoom = (factor) => () => {
  const middle = (rows.window[0] + rows.window[1]) / 2;
  const half = ((rows.window[1] - rows.window[0]) / 2) * factor;
  show([middle - half, middle + half]);
};
const pan = (part) => () => {
  const by = (rows.window[1] - rows.window[0]) * part;
  show([rows.window[0] + by, rows.window[1] + by]);
};
onKey(["ArrowDown", "j"], move(1));
onKey(["ArrowUp", "k"], move(-1));
onKey(["Home"], () => { rows.selected = -1; move(0)(); container.scrollTop = 0; rows.select(tree.visible[0]); });
onKey(["End"], () => { rows.select(tree.visible[tree.visible.length - 1]); container.focus({preventScroll: true}); });
onKey(["ArrowRight"], () => {
  const row = rows.selected;
  if (tree.expanded(row) === false) { tree.toggle(row); rows.draw(true); remember(); } else if (tree.hasChildren(row)) move(1)();
});
onKey(["ArrowLeft"], () => {
  const row = rows.selected;
  if (tree.expanded(row) === true && (tree.groups.has(row) || tree.hasChildren(row))) { tree.toggle(row); rows.draw(true); rows.select(row); remember(); } else if (tree.parent[row] >= 0) select(tree.parent[row]);
});
onKey(["Enter"], () => {
  if (rows.selected < 0) return false;
  if (tree.isGroup(rows.selected)) { tree.toggle(rows.selected); rows.draw(true); } else open(rows.selected);
});
onKey(["Escape"], () => (drawer.isOpen ? drawer.close() : false));
onKey(["$"], () => { if (tree.dearest >= 0) open(tree.dearest); });
onKey(["s"], () => { if (slowest >= 0) open(slowest); });
onKey(["e"], () => step(errorRows, 1));
onKey(["E"], () => step(errorRows, -1));
onKey(["n"], nextMatch(1));
onKey(["N"], nextMatch(-1));
onKey(["p"], () => { if (drawer.peer) open(tree.positions.get(drawer.peer)); });
onKey(["f"], toggleFit);
onKey(["r"], () => location.assign(`${base}/replay`));
onKey(["0"], () => show([0, tree.length]));
onKey(["+", "="], zoom(0.5));
onKey(["-"], zoom(2));
onKey(["a"], pan(-0.25));
onKey(["d"], pan(0.25));
addEventListener("keydown", (event) => { // paper has a page of its own: here only rows in sight are elements
  if (event.key !== "p" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
  event.preventDefault();
  location.assign(`${base}?view=print&now=1`);
});
KINDS.forEach((kind, at) => onKey([String(at + 1)], () => { toggleKind(kind); filter(); }));
for (const link of document.querySelectorAll("[data-jump]")) link.addEventListener("click", (event) => {
  if (isElsewhere(event)) return;
  event.preventDefault();
  open(tree.positions.get(link.dataset.jump));
});

// -- begin as the address says --

function restore(parameters) {
  state.kinds = new Set(parameters.get("kinds")?.split(",") || KINDS);
  state.only = parameters.get("only") in ONLY ? parameters.get("only") : "";
  state.text = textFilter.value = parameters.get("q") || "";
  for (const row of parameters.get("fold")?.split(".") || []) tree.closed.add(Number(row));
  rows.fit = parameters.has("fit") ? parameters.get("fit") === "1" : tree.size > FIT_FROM;
  if (parameters.has("from") && parameters.has("to")) { rows.fit = false; rows.window = [Number(parameters.get("from")), Number(parameters.get("to"))]; }
  setFit(rows.fit);
}

restore(asked);
filterButtons();
const wanted = asked.get("span");
const scroll = history.state?.scroll;
if (wanted) drawer.shown = wanted;
filter();
minimap.show(rows.window);
if (wanted && tree.positions.has(wanted)) { open(tree.positions.get(wanted)); } else rows.select(tree.visible[0]);
if (scroll) container.scrollTop = scroll;
container.addEventListener("scrollend", () => history.replaceState({...history.state, scroll: container.scrollTop}, ""));

addEventListener("popstate", (event) => {
  const parameters = new URLSearchParams(location.search);
  const spanId = parameters.get("span");
  if (spanId && tree.positions.has(spanId)) { select(tree.positions.get(spanId)); drawer.open(spanId); } else if (drawer.isOpen) {
    drawer.shown = ""; drawer.element.hidden = true; drawer.panes.classList.remove("open"); rows.draw(true);
  }
  if (event.state?.scroll) container.scrollTop = event.state.scroll;
});
document.body.dataset.ready = "true";
