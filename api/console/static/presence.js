// Whether somebody is there: a hand on the mouse, the keys, the glass. What a page asks by itself says so in a
// header, and keeps no forgotten session; a hand does, and is told before the session ends.
const RECENT_MS = 60000;
const SIGNS = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"];

let seenAt = performance.now(); // somebody opened the page
const listeners = [];

for (const sign of SIGNS) addEventListener(sign, seen, { capture: true, passive: true });

function seen() {
  const before = seenAt;
  seenAt = performance.now();
  for (const each of listeners) each(seenAt - before);
}

export const present = () => performance.now() - seenAt < RECENT_MS;

// `hear(ms since the sign before)` at each sign of somebody.
export const onSign = (hear) => listeners.push(hear);
