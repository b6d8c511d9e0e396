// What the console needs besides htmx: ticking durations, live updates that leave forms alone, and
// a word on whether the page is live. Everything here is optional: without it the pages still work.
"use strict";

(() => {
  const skew = Date.now() / 1000 - Number(document.body.dataset.now || Date.now() / 1000);

  // Must say the same as `elapsed` in bot/web/show/words.py.
  function elapsed(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    const two = (n) => String(n).padStart(2, "0");
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
    if (s < 86400) return `${Math.floor(s / 3600)}h ${two(Math.floor((s % 3600) / 60))}m`;
    return `${Math.floor(s / 86400)}d ${two(Math.floor((s % 86400) / 3600))}h`;
  }

  function tick() {
    const now = Date.now() / 1000 - skew;
    for (const element of document.querySelectorAll("[data-since], [data-until]")) {
      const { since, until } = element.dataset;
      const text = elapsed(since === undefined ? Number(until) - now : now - Number(since));
      if (element.textContent !== text) element.textContent = text;
    }
  }
  setInterval(tick, 1000);
  tick();

  // A live update skips what has not changed (same data-stamp) and what answers a click
  // (data-keep), leaves open what a person opened, and never touches a field being filled in.
  if (window.Idiomorph) {
    const callbacks = Idiomorph.defaults.callbacks;
    callbacks.beforeNodeMorphed = (old, fresh) => {
      if (!(old instanceof Element) || !(fresh instanceof Element)) return true;
      if (old.hasAttribute("data-keep")) return false;
      const stamp = old.getAttribute("data-stamp");
      if (stamp !== null && stamp === fresh.getAttribute("data-stamp")) return false;
      if (old.matches("input[type=text], input:not([type]), textarea") && isDirty(old)) return false;
      return true;
    };
    callbacks.beforeAttributeUpdated = (name, element) =>
      !(name === "open" && element.tagName === "DETAILS");
  }

  function isDirty(field) {
    return field === document.activeElement || field.value !== field.defaultValue;
  }

  const live = document.getElementById("live");
  function say(state, word) {
    if (!live || live.dataset.state === state) return;
    live.dataset.state = state;
    live.textContent = word;
  }
  document.body.addEventListener("htmx:sseOpen", () => say("live", "live"));
  document.body.addEventListener("htmx:sseError", () => say("lost", "reconnecting"));
  document.body.addEventListener("htmx:sseMessage", tick);
  document.body.addEventListener("htmx:sendError", () => {
    say("lost", "no connection");
  });

  document.addEventListener("keydown", (event) => {
    const field = event.target;
    if (!(field instanceof HTMLElement)) return;
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing &&
        field.matches("[data-submit-on-enter]")) {
      event.preventDefault();
      field.form.requestSubmit();
    }
    if (event.key === "Escape") {
      const open = field.closest("details[open]");
      if (open) {
        open.removeAttribute("open");
        open.querySelector("summary").focus();
      }
    }
    if (field.matches("input, textarea, select, [contenteditable]") || event.metaKey ||
        event.ctrlKey || event.altKey) return;
    if (event.key === "j" || event.key === "k") move(event.key === "j" ? 1 : -1);
  });

  function move(by) {
    const rows = [...document.querySelectorAll(".threads a, .list .main a, .step-detail > summary")];
    if (!rows.length) return;
    const at = rows.indexOf(document.activeElement);
    const start = rows.findIndex((row) => row.hasAttribute("aria-current"));
    const next = at < 0 ? Math.max(0, start) : Math.min(rows.length - 1, Math.max(0, at + by));
    rows[next].focus();
  }

  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("[data-fill]");
    if (!button) return;
    const field = document.getElementById(button.dataset.fill);
    field.value = button.textContent.trim();
    field.focus();
  });

  // A link to a step opens it.
  function openTarget() {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") target.open = true;
  }
  window.addEventListener("hashchange", openTarget);
  document.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest('a[href^="#step-"]')) {
      setTimeout(openTarget);
    }
  });
  openTarget();

  // Who decided by keyboard stays where the form was, although the update took the form away.
  let home = "";
  document.addEventListener("focusin", (event) => {
    home = event.target.closest(".approval")?.id ?? "";
  });
  document.addEventListener("pointerdown", (event) => {
    if (!(event.target instanceof Element && event.target.closest(".approval"))) home = "";
  });
  document.body.addEventListener("htmx:sseMessage", () => {
    const section = home && document.activeElement === document.body && document.getElementById(home);
    if (section) section.focus({ preventScroll: true });
  });

  // The first field of an opened form gets the focus.
  document.addEventListener("toggle", (event) => {
    const details = event.target;
    if (!(details instanceof HTMLDetailsElement) || !details.open) return;
    if (!details.closest(".acts, .stop")) return;
    const field = details.querySelector("input[type=text], input:not([type]), textarea");
    if (!field) return;
    field.focus({ preventScroll: true });
    field.form.scrollIntoView({ block: "nearest" });
  }, true);
})();
