// A run's spans in columns: which rows are to be seen, given what is folded and what is asked for.

import {visible} from "./format.js";

const FOLD_FROM = 5; // repeated siblings from this many on are one row
const LONG = 200; // rows from which on a run opens folded
const DEEP = 3;

/** Spans whose parent has not come, which are the last ones, stand below a row that is no span. */
function together(answer) {
  const {columns, orphans, texts} = answer;
  if (!orphans.length) return answer;
  const at = orphans[0];
  const later = (row) => (row < at ? row : row + 1);
  const begin = Math.min(...columns.start.slice(at));
  const length = columns.start.reduce((end, start, row) => (row < at ? end : Math.max(end, start + columns.duration[row])), 0) - begin;
  columns.parent = columns.parent.map((above, row) => (row >= at && above < 0 ? at : later(above)));
  const own = {span_id: "", parent: -1, kind: texts.push("internal") - 1, name: texts.push(`parent not received (${orphans.length})`) - 1, start: begin, duration: length, cost: null};
  for (const [name, column] of Object.entries(columns)) column.splice(at, 0, name in own ? own[name] : 0);
  const moved = (name) => answer[name].map(later);
  return {...answer, spans: answer.spans + 1, errors: answer.errors.map((error) => ({...error, row: later(error.row)})),
    critical_path: moved("critical_path"), rolled_up: moved("rolled_up"), unpriced: moved("unpriced"), orphans: moved("orphans"), rounds: moved("rounds")};
}

export class Tree {
  constructor(sent) {
    const answer = together(sent);
    const {columns} = answer;
    const texts = answer.texts.map(visible);
    this.size = answer.spans;
    this.length = Math.max(answer.duration_nanoseconds / 1000, 1);
    this.ids = columns.span_id;
    this.parent = columns.parent;
    this.start = columns.start;
    this.duration = columns.duration;
    const repeated = new Set(answer.rolled_up);
    this.tokens = columns.input_tokens.map((number, row) => (repeated.has(row) ? 0 : number));
    this.cost = columns.cost.map((text) => (text === null ? null : Number(text)));
    this.exact = columns.cost;
    this.dearest = this.cost.reduce((best, cost, row) => (cost > (this.cost[best] ?? 0) ? row : best), -1);
    this.kind = columns.kind.map((at) => texts[at]);
    this.model = columns.model.map((at) => texts[at]);
    this.name = columns.name.map((at, row) => {
      const own = this.kind[row] === "tool" ? columns.tool[row] : this.kind[row] === "agent" ? columns.agent[row] : 0;
      return texts[own] || texts[at] || "(no name)";
    });
    this.errors = new Map(answer.errors.map((error) => [error.row, visible(error.message)]));
    this.critical = new Set(answer.critical_path);
    this.unpriced = new Set(answer.unpriced);
    this.orphans = new Set(answer.orphans);
    this.rounds = new Map(answer.rounds.map((row, at) => [row, at + 1]));
    this.positions = new Map(this.ids.map((id, row) => [id, row]));
    this.#measure();
    this.closed = new Set();
    this.groups = new Map();
    this.opened = new Set();
    this.#group();
    if (this.size > LONG) for (let row = 0; row < this.size; row++) if (this.depth[row] >= DEEP && this.last[row] > row + 1) this.closed.add(row);
    this.filter = null;
    this.refresh();
  }

  #measure() {
    this.depth = new Int32Array(this.size);
    this.last = new Int32Array(this.size); // one after the last row within
    this.below = [...this.cost];
    this.tokensBelow = [...this.tokens];
    this.until = new Float64Array(this.size); // when the last span within ended
    for (let row = 0; row < this.size; row++) this.depth[row] = this.parent[row] < 0 ? 0 : this.depth[this.parent[row]] + 1;
    for (let row = this.size - 1; row >= 0; row--) {
      this.last[row] = Math.max(this.last[row], row + 1);
      this.until[row] = Math.max(this.until[row], this.end(row));
      const above = this.parent[row];
      if (above < 0) continue;
      this.last[above] = Math.max(this.last[above], this.last[row]);
      this.until[above] = Math.max(this.until[above], this.until[row]);
      this.tokensBelow[above] += this.tokensBelow[row];
      if (this.below[row] !== null) this.below[above] = (this.below[above] || 0) + this.below[row];
    }
    this.place = new Int32Array(this.size);
    this.among = new Int32Array(this.size);
    this.beside = Map.groupBy(this.parent.keys(), (row) => this.parent[row]);
    for (const rows of this.beside.values()) for (const [at, row] of rows.entries()) { this.place[row] = at + 1; this.among[row] = rows.length; }
  }

  /** Leaves of one name that follow each other below one parent are one row, until it is opened. */
  #group() {
    for (let row = 0; row < this.size; ) {
      let end = row;
      const same = (other) => this.parent[other] === this.parent[row] && this.kind[other] === this.kind[row]
        && this.name[other] === this.name[row] && this.last[other] === other + 1;
      if (this.kind[row] !== "llm" && this.last[row] === row + 1) while (end < this.size && same(end)) end++;
      if (end - row >= FOLD_FROM) this.groups.set(row, end - row);
      row = Math.max(end, row + 1);
    }
  }

  members(row) {
    return this.filter || this.opened.has(row) ? 1 : this.groups.get(row) || 1;
  }

  /** Whether a row stands for several, and opens instead of being shown. */
  isGroup(row) {
    return this.members(row) > 1 || !this.ids[row];
  }

  hasChildren(row) {
    return this.last[row] > row + 1;
  }

  /** Works out the rows to be seen again. */
  refresh() {
    const found = [];
    for (let row = 0; row < this.size; ) {
      if (this.filter) {
        if (this.filter(row)) found.push(row);
        row++;
        continue;
      }
      found.push(row);
      row = this.closed.has(row) ? this.last[row] : row + this.members(row);
    }
    this.visible = found;
  }

  /** Opens whatever hides a row. */
  reveal(row) {
    for (let above = this.parent[row]; above >= 0; above = this.parent[above]) this.closed.delete(above);
    for (const [first, number] of this.groups) if (row > first && row < first + number) this.opened.add(first);
    if (this.filter && !this.filter(row)) return false;
    this.refresh();
    return true;
  }

  toggle(row) {
    if (this.groups.has(row) && !this.filter) this.opened[this.opened.has(row) ? "delete" : "add"](row);
    else if (this.hasChildren(row)) this.closed[this.closed.has(row) ? "delete" : "add"](row);
    this.refresh();
  }

  /** Whether there is something to open (false), to close (true), or neither (null). */
  expanded(row) {
    if (this.filter) return null;
    if (this.groups.has(row)) return this.opened.has(row);
    return this.hasChildren(row) ? !this.closed.has(row) : null;
  }

  end(row) {
    return this.start[row] + this.duration[row];
  }

  /** How long before its parent a span starts. */
  early(row) {
    return this.parent[row] < 0 ? 0 : Math.max(this.start[this.parent[row]] - this.start[row], 0);
  }

  /** How many of the spans beside it run while it does. */
  parallel(row) {
    return this.beside.get(this.parent[row]).filter((other) => other !== row && this.start[other] < this.end(row) && this.end(other) > this.start[row]).length;
  }

  /** Whether a row shows the sums of what is within it, having no amounts of its own. */
  isSum(row) {
    return this.cost[row] === null && (this.depth[row] === 0 || this.kind[row] === "agent");
  }

  /** The time that the rows seen from one place to another cover. */
  range(from, to) {
    let begin = Infinity;
    let end = 0;
    for (const row of this.visible.slice(from, to)) {
      if (this.kind[row] === "agent" && this.hasChildren(row) && !this.closed.has(row)) continue;
      begin = Math.min(begin, this.start[row]);
      end = Math.max(end, this.end(row + this.members(row) - 1));
    }
    return begin < end ? [begin, end] : [0, this.length];
  }

  /** The time of a row in which its children run, as pieces: it is drawn lighter. */
  covered(row) {
    const found = [];
    for (const child of this.beside.get(row) || []) {
      const [start, end] = [Math.max(this.start[child], this.start[row]), Math.min(this.end(child), this.end(row))];
      const last = found.at(-1);
      if (last && start <= last[1]) last[1] = Math.max(last[1], end);
      else if (start < end) found.push([start, end]);
    }
    return found;
  }

  /** Where nothing is recorded below a row: pieces longer than a hundredth of it. */
  gaps(row) {
    const inside = [];
    for (let child = row + 1; child < this.last[row]; child++) if (this.duration[child] && this.kind[child] !== "agent") inside.push([this.start[child], this.end(child)]);
    if (!inside.length || inside.length > 5000) return []; // what is as busy has no gap that is seen
    inside.sort(([one], [other]) => one - other).push([this.end(row)]);
    const found = [];
    let covered = this.start[row];
    for (const [start, end] of inside) {
      if (start - covered > this.duration[row] / 100) found.push([covered, start]);
      covered = Math.max(covered, end);
    }
    return found;
  }

  /** The row as a sentence, for who does not see it; `time` writes durations. */
  sentence(row, spent, time) {
    const number = this.members(row);
    const beside = number > 1 ? 0 : this.parallel(row);
    return [this.kind[row], this.name[row], number > 1 && `${number} times, folded`, time(spent), this.errors.has(row) && "error",
      this.unpriced.has(row) && "unpriced", this.orphans.has(row) && "parent not received", `starts at ${time(this.start[row])}`,
      this.early(row) && `${time(this.early(row))} before its parent`, beside && `runs in parallel with ${beside}`].filter(Boolean).join(", ");
  }
}
