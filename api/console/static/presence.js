// Whether somebody is there: a hand on the mouse, the keys, the glass. What a page asks by itself says so in a
// header, and keeps no forgotten session; a hand does, and is told before the session ends.
const RECENT_MS = 60000;
const SIGNS = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"];

let seenAt = performance.now(); // somebody opened the page
let resting = "";
const listeners = [];

for (const sign of SIGNS) addEventListener(sign, seen, { capture: true, passive: true });

function seen(event) {
  // figures that move under a resting mouse make browsers tell of a movement that was none
  if (event.type === "pointermove") {
    const place = `${event.screenX} ${event.screenY}`;
    if (place === resting) return;
    resting = place;
  }
  seenAt = performance.now();
  for (const each of listeners) each();
}

export const present = () => performance.now() - seenAt < RECENT_MS;

// `hear` is called at each sign of somebody.
export const onSign = (hear) => listeners.push(hear);
