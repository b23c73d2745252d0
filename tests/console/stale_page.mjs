// What live.js says and lets be pressed, with the test's hand on both clocks: node stale_page.mjs FOLDER -> JSON.
// FOLDER holds live.js and moment.js as they are served; the document and the stream are stood in for here.
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = process.argv[2];
writeFileSync(`${folder}/package.json`, '{"type":"module"}');
writeFileSync(`${folder}/dom.js`, "const made = {}; export const by = (id) => (made[id] ??= {}); export const put = (node, text) => (node.textContent = text);");
writeFileSync(`${folder}/words.js`, "export const t = (key) => key;");

const at = { steady: 1000, wall: 5e12 };
const timers = [];
const hands = {};
const streams = [];
const button = { disabled: false, setAttribute: () => (button.disabled = true), removeAttribute: () => (button.disabled = false), closest: () => button };

globalThis.performance = { now: () => at.steady };
Date.now = () => at.wall;
globalThis.setInterval = (work, every) => timers.push({ work, every });
globalThis.addEventListener = (kind, hear) => (hands[kind] = hear);
globalThis.document = { documentElement: { dataset: {} }, hidden: false, addEventListener() {}, dispatchEvent() {}, querySelectorAll: () => [button] };
globalThis.EventSource = class {
  static CLOSED = 2;
  heard = {};
  constructor() {
    streams.push(this);
    queueMicrotask(() => this.onopen());
  }
  addEventListener(kind, hear) {
    this.heard[kind] = hear;
  }
  close() {
    this.closed = true;
  }
};

const page = await import(pathToFileURL(`${folder}/live.js`));
const link = () => document.documentElement.dataset.link;
const pass = (ms) => ((at.steady += ms), (at.wall += ms));
const look = () => timers.forEach((each) => each.work());

// A heartbeat of the newest stream, or of that one; it was under way for so long.
async function beat({ under_way = 0, stream = streams.at(-1), account = 0 } = {}) {
  await null; // the stream opens first
  if (stream.closed) return;
  const said = { at_ms: at.wall - under_way, log_age_s: 0, account_age_s: account, quiet_after_s: 5 };
  stream.heard.heartbeat({ data: JSON.stringify(said), lastEventId: "" });
}

// Whether the press reached the button.
function press() {
  let reached = true;
  hands.click({ target: button, preventDefault() {}, stopImmediatePropagation: () => (reached = false) });
  return reached && !button.disabled;
}

const told = {};
page.start();
look();
told.opening = { link: link(), acts: press() };
await beat();
told.live = { link: link(), acts: press() };

const [{ every }] = timers;
const begun = at.steady;
while (link() === "live") pass(every), look();
told.silence = { ms: at.steady - begun, link: link(), acts: press(), streams: streams.length };
await beat();
told.again = { link: link(), acts: press() };

for (const clock of ["steady", "wall"]) {
  const before = streams.length;
  at[clock] += 8 * 3600e3; // no timer runs
  const old = streams.at(-1);
  told[`${clock} leaps`] = { acts: press(), link: link(), opened: streams.length - before };
  await beat({ stream: old });
  told[`${clock} leaps, an old word`] = { acts: press(), link: link() };
  await beat();
  told[`${clock} leaps, a new word`] = { acts: press(), link: link() };
}

pass(3600e3);
await beat({ stream: streams.at(-1) }); // what lay in the buffers while everything slept is heard before any timer
told["asleep, a word first"] = { acts: press(), link: link() };
await beat();

at.wall -= 3600e3;
told["the clock is set back"] = { acts: press(), link: link() };
await beat();
told["the clock is set back, a word"] = { acts: press(), link: link() };

const before = streams.length;
let late = 0;
for (; streams.length === before && late < 60_000; late += 250) pass(500), await beat({ under_way: late });
told["a line that falls behind"] = { ms: late, opened: streams.length - before };
await beat();

await beat({ account: 5.1 });
told["the decisions are silent"] = { acts: press(), link: link() };
streams.at(-1).heard.state({ data: '{"ended": true}', lastEventId: "" });
await beat({ account: 600 });
told["the decisions are silent after the day"] = { acts: press(), link: link() };
console.log(JSON.stringify(told));
