// What stands on every page: the header's figures, Halt and Flatten, alerts, theme, language, the way out.
import { post } from "./ask.js";
import { watchAlerts } from "./banners.js";
import { by, cookie, put } from "./dom.js";
import { clock, signed, tone } from "./format.js";
import { watchTheEnd } from "./ending.js";
import { live, now, start } from "./live.js";
import { standBy } from "./stop.js";
import { t, word } from "./words.js";

const shown = (name) => document.querySelector(`[data-show="${name}"]`);

function header() {
  const { state, pnl } = now;
  if (state) {
    const node = shown("trading");
    node.dataset.state = state.fence ? "halted" : state.state;
    put(node.querySelector("[data-text]"), state.fence ? t("state.fenced") : word("state", state.state));
    const mode = shown("mode");
    mode.hidden = false;
    mode.dataset.mode = state.mode;
    put(mode, word("mode", state.mode));
    put(shown("run"), state.run_id);
  }
  if (pnl) {
    put(shown("net"), signed(pnl.net_paise), tone(pnl.net_paise));
    put(shown("session"), clock(pnl.at_ms));
  }
}

function link({ detail }) {
  put(shown("link").querySelector("[data-text]"), t(`link.${detail}`));
}

function signedOut() {
  const here = encodeURIComponent(location.pathname + location.search);
  by("expired-sign-in").href = `/sign-in?next=${here}`;
  if (!by("expired").open) by("expired").showModal();
}

live.addEventListener("any", header);
live.addEventListener("link", link);
document.addEventListener("kp:signed-out", signedOut);
by("expired").addEventListener("cancel", (event) => event.preventDefault());

by("theme").onchange = ({ target }) => {
  cookie("kitepilot-theme", target.value);
  if (target.value) document.documentElement.dataset.theme = target.value;
  else delete document.documentElement.dataset.theme;
  tellTheme();
};
by("language").onchange = ({ target }) => {
  cookie("kitepilot-language", target.value);
  location.reload();
};
by("sign-out").onclick = async () => {
  await post("/api/v1/session", {}, { method: "DELETE" }).catch(() => {});
  location.assign("/sign-in");
};
const tellTheme = () => document.dispatchEvent(new CustomEvent("kp:theme"));
matchMedia("(prefers-color-scheme: light)").addEventListener("change", tellTheme);

header(); // of what came with the page
standBy();
start();
watchTheEnd();
watchAlerts();
