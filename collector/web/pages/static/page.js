// What every page has: keys, themes, the zone a browser is in, and copying.

import {byId, make} from "./elements.js";

const cookie = (name, value) => { document.cookie = `${name}=${value}; Path=/; Max-Age=31536000; SameSite=Strict`; };
const keys = new Map();
const UNREAD = "It could not be read. Try again in a moment.";

/** Calls `act(event)` when a key is pressed and no text field has the focus. */
export function onKey(names, act) {
  for (const name of names) keys.set(name, act);
}

/** For readers of the screen, at most once in five seconds but for what was asked for just now. */
let announced = 0;
export function announce(text, askedFor = false) {
  if (!askedFor && Date.now() - announced < 5000) return;
  announced = Date.now();
  byId("announcement").textContent = text;
}

export async function copy(text) {
  if (navigator.clipboard) {
    try { await navigator.clipboard.writeText(text); return announce("Copied.", true); } catch { /* it may be forbidden */ }
  }
  const field = make("textarea", {value: text});
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
  announce("Copied.", true);
}

const singleKeys = byId("single-keys");
try { singleKeys.checked = localStorage.getItem("single-keys") !== "off"; } catch { /* storage may be forbidden */ }
singleKeys.addEventListener("change", () => {
  try { localStorage.setItem("single-keys", singleKeys.checked ? "on" : "off"); } catch { /* as above */ }
});

document.addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLElement && event.target.matches("input:not([type=checkbox]), textarea, select");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing) { if (event.key === "Escape") event.target.blur(); return; }
  if (document.querySelector("dialog[open]")) return;
  if (event.key.length === 1 && !singleKeys.checked && event.key !== " ") return;
  if ((event.key === " " || event.key === "Enter") && event.target.closest?.("a, button, select, summary")) return;
  const act = keys.get(event.key);
  if (act && act(event) !== false) event.preventDefault();
});

const showKeys = () => byId("keys").showModal();
byId("help").addEventListener("click", showKeys);
onKey(["?"], showKeys);

const root = document.documentElement;
root.className = "scripted";
function switchTheme() {
  const now = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
  cookie("spanmeter_theme", root.dataset.theme);
  document.dispatchEvent(new Event("themechange"));
}
byId("theme").addEventListener("click", switchTheme);
onKey(["t"], switchTheme);

onKey(["/"], () => (byId("text-filter") || byId("find")).focus());

const copyLink = byId("copy-link");
if (copyLink) {
  const act = () => copy(location.href);
  copyLink.addEventListener("click", act);
  onKey(["c"], act);
}
document.addEventListener("click", async (event) => {
  const asked = event.target.closest?.("[data-copy], [data-copy-from], [data-curl]")?.dataset;
  if (asked?.copy) copy(byId(asked.copy).textContent);
  if (asked?.curl) copy(`curl -H "x-api-key: $SPANMETER_TOKEN" '${location.origin}${asked.curl}'`);
  if (asked?.copyFrom) {
    const answer = await fetch(asked.copyFrom);
    if (answer.ok) copy(await answer.text());
    else announce(UNREAD, true);
  }
});

/** An element of another page, parsed by the browser as a document in which nothing runs. */
export function part(address, id) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", address);
    request.responseType = "document";
    request.onload = () => {
      const found = request.status === 200 && request.response?.getElementById(id);
      if (found) resolve(document.importNode(found, true));
      else reject(new Error(request.status === 404 ? "This span is not stored." : UNREAD));
    };
    request.onerror = () => reject(new Error("spanmeter does not answer. Try again in a moment."));
    request.send();
  });
}

const zone = byId("zone");
const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (here && !document.cookie.includes("spanmeter_zone=")) cookie("spanmeter_zone", here);
zone.addEventListener("focus", () => {
  zone.select();
  zone.list.replaceChildren(...[here, "UTC", ...Intl.supportedValuesOf("timeZone")].map((name) => make("option", {value: name})));
});
zone.addEventListener("change", () => zone.form.requestSubmit());
zone.form.addEventListener("submit", (event) => {
  try { Intl.DateTimeFormat("en", {timeZone: zone.value}); } catch { return; } // the server says what is wrong
  event.preventDefault();
  cookie("spanmeter_zone", zone.value);
  const address = new URL(location);
  address.searchParams.delete("tz");
  location.assign(address);
});

const step = (by) => () => {
  const all = [...document.querySelectorAll("nav.tabs[aria-label='Views of the run'] a")];
  const at = all.findIndex((tab) => tab.ariaCurrent === "page");
  if (at >= 0 && all[at + by]) location.assign(all[at + by].href);
};
onKey(["["], step(-1));
onKey(["]"], step(1));
