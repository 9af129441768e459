// Numbers as the server writes them (formats.py): the two are compared by a test.

const three = (value) => (value >= 1 ? value.toFixed(value < 100 ? 2 - Math.floor(Math.log10(value)) : 0) : value.toFixed(2));
const two = (number) => String(number).padStart(2, "0");

/** A duration in microseconds. */
export function duration(us) {
  if (us < 999.5) return `${Math.round(us)} µs`;
  if (us < 999500) return `${three(us / 1e3)} ms`;
  if (us < 99950000) return `${three(us / 1e6)} s`;
  const seconds = Math.round(us / 1e6);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  const minutes = Math.round(us / 6e7);
  if (minutes < 2880) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  const hours = Math.round(us / 3.6e9);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A duration as marks of an axis have it: without a fraction that is zero. */
export const mark = (us) => (us ? duration(us).replace(/\.0+ /, " ").replace(/ (00 s|00 min)$/, "") : "0");

/** USD from a number, for columns with so many decimals; halves, which binary numbers miss, are rounded up. */
export function money(exact, decimals) {
  const amount = exact * (1 + 1e-14);
  const shown = amount.toFixed(decimals);
  if (amount && !Number(shown)) return `$${amount.toFixed(3 - Math.floor(Math.log10(amount)))}`;
  const [whole, rest] = shown.split(".");
  return `$${whole.replace(/\B(?=(\d{3})+$)/g, ",")}${rest ? `.${rest}` : ""}`;
}

export function count(number) {
  if (number < 1e6) return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ",");
  return number < 999.5e6 ? `${three(number / 1e6)} M` : `${three(number / 1e9)} G`;
}

export function size(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  let value = bytes;
  let at = 0;
  for (; value >= 1024 && at < 3; at++) value /= 1024;
  return at ? `${three(value)} ${units[at]}` : `${bytes} bytes`;
}

/** Not to be seen, or turning what is around them; joiners belong to the emoji they join. As unseen.py has it. */
export const UNSEEN = /(?![\t\n\r]|\u200d\p{Extended_Pictographic})[\p{Cc}\p{Cf}\u034f\u115f\u1160\u2028\u2029\u2800\u3164\uffa0]/gu;
export const code = (one) => `U+${one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

/** A name with marks in place of these. */
export const visible = (text) => text.replace(UNSEEN, (one) => `⟨${code(one)}⟩`);

const MINUTES = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440];

/** Round marks from `from` to `to` (microseconds), at most so many. */
export function marks(from, to, most) {
  const raw = (to - from) / most;
  const scale = 10 ** Math.floor(Math.log10(raw));
  const round = raw > 3e7 ? MINUTES.map((minutes) => minutes * 6e7) : [1, 2, 5, 10].map((factor) => factor * scale);
  const step = round.find((one) => one >= raw) ?? Math.ceil(raw / 8.64e10) * 8.64e10;
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  return found;
}
