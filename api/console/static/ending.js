// The session's end: told two minutes before it, put off by any sign of somebody, and looked up rather than
// guessed, since another tab may have been used.
import { session } from "./ask.js";
import { by, put } from "./dom.js";
import { onSign } from "./presence.js";
import { t } from "./words.js";

const WARN_MS = 120000;
const LOOK_MS = 10000;
const NOTED_MS = 60000; // a use is said at most so often

let endsAt = Infinity;
let saidAt = performance.now();
let asking = false;

async function look() {
  if (asking) return;
  asking = true;
  try {
    const { ends_in_s: left } = await session();
    endsAt = left === null || left === undefined ? Infinity : performance.now() + left * 1000;
  } catch {
    // not answered: what was known stands
  } finally {
    asking = false;
    show();
  }
}

function show() {
  const left = endsAt - performance.now();
  by("ending").hidden = left > WARN_MS || left <= 0;
  if (!by("ending").hidden) put(by("ending-text"), t("ending.soon", { minutes: Math.max(1, Math.ceil(left / 60000)) }));
}

function sign() {
  const now = performance.now();
  if (by("ending").hidden && now - saidAt < NOTED_MS) return;
  if (!by("ending").hidden && now - saidAt < 1000) return;
  saidAt = now;
  look();
}

export function watchTheEnd() {
  onSign(sign);
  by("ending-stay").onclick = look;
  setInterval(() => (endsAt - performance.now() < WARN_MS + LOOK_MS ? look() : show()), LOOK_MS);
  look();
}
