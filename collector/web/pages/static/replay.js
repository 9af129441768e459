// A run step by step: the next step is the same page with another number, of which only the step is taken.

import {onKey, part} from "./page.js";
import {readTexts} from "./text.js";

const MAX_GAP = 1000; // milliseconds: longer waits are cut to this
let playing = 0;

const step = () => document.getElementById("replay");

async function go(address, push = true) {
  if (!address) return false;
  try {
    const next = await part(`${address}&part=step`, "replay");
    for (const link of next.querySelectorAll(".replay-bar a")) link.href = link.getAttribute("href").replace(/&part=step|part=step&/, "");
    for (const name of ["following", "previous"]) next.dataset[name] = next.dataset[name].replace(/&part=step|part=step&/, "");
    const speed = document.getElementById("speed").value;
    step().replaceWith(next);
    document.getElementById("speed").value = speed;
    begin();
    if (push) history.replaceState(null, "", address);
    return true;
  } catch (error) {
    stop();
    return false;
  }
}

function begin() {
  readTexts(step());
  document.getElementById("play-controls").hidden = false;
  const play = document.getElementById("play");
  play.setAttribute("aria-pressed", Boolean(playing));
  play.addEventListener("click", toggle);
  for (const link of step().querySelectorAll(".replay-bar a")) link.addEventListener("click", (event) => { event.preventDefault(); stop(); go(link.getAttribute("href")); });
}

function stop() {
  clearTimeout(playing);
  playing = 0;
  document.getElementById("play")?.setAttribute("aria-pressed", "false");
}

function plan() {
  const speed = Number(document.getElementById("speed").value);
  const wait = speed ? Math.min(Number(step().dataset.wait), MAX_GAP) / speed : 0;
  playing = setTimeout(async () => { if (await go(step().dataset.following)) { if (playing) plan(); } else stop(); }, Math.max(wait, 30));
}

function toggle() {
  if (playing) return stop();
  plan();
  document.getElementById("play").setAttribute("aria-pressed", "true");
}

const at = (number) => `${location.pathname}?step=${number}`;
onKey(["ArrowRight", "j"], () => { stop(); go(step().dataset.following); });
onKey(["ArrowLeft", "k"], () => { stop(); go(step().dataset.previous); });
onKey(["Home"], () => { stop(); go(at(1)); });
onKey(["End"], () => { stop(); go(at(99999999)); });
onKey([" "], (event) => (event.target.closest?.("button, a, summary, select") ? false : toggle()));
begin();
document.body.dataset.ready = "true";
