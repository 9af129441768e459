// A run step by step: the next step is the same page with another number, of which only the step is taken.

import {byId} from "./elements.js";
import {onKey, part} from "./page.js";
import {readTexts} from "./text.js";

const MAX_GAP = 1000; // milliseconds: longer waits are cut to this
let playing = 0;

const step = () => byId("replay");

async function go(address) {
  if (!address) return false;
  try {
    const next = await part(`${address}&part=step`, "replay");
    const speed = byId("speed").value;
    step().replaceWith(next);
    byId("speed").value = speed;
    begin();
    history.replaceState(null, "", address);
    return true;
  } catch {
    stop();
    return false;
  }
}

function begin() {
  readTexts(step());
  byId("play-controls").hidden = false;
  const play = byId("play");
  play.ariaPressed = Boolean(playing);
  play.addEventListener("click", toggle);
  for (const link of step().querySelectorAll(".replay-bar a")) link.addEventListener("click", (event) => { event.preventDefault(); stop(); go(link.getAttribute("href")); });
}

function stop() {
  clearTimeout(playing);
  playing = 0;
  if (byId("play")) byId("play").ariaPressed = false;
}

function plan() {
  const speed = Number(byId("speed").value);
  const wait = speed ? Math.min(Number(step().dataset.wait), MAX_GAP) / speed : 0;
  playing = setTimeout(async () => { if (await go(step().dataset.following)) { if (playing) plan(); } else stop(); }, Math.max(wait, 30));
}

function toggle() {
  if (playing) return stop();
  plan();
  byId("play").ariaPressed = true;
}

const at = (number) => `${location.pathname}?step=${number}`;
onKey(["ArrowRight", "j"], () => { stop(); go(step().dataset.following); });
onKey(["ArrowLeft", "k"], () => { stop(); go(step().dataset.previous); });
onKey(["Home"], () => { stop(); go(at(1)); });
onKey(["End"], () => { stop(); go(at(99999999)); });
onKey([" "], toggle);
begin();
document.body.dataset.ready = "true";
