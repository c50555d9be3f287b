// Progressive enhancement of pages: live updates, a count of new alerts, and keyboard shortcuts. Without this file
// everything works by links and forms.
(function () {
  "use strict";
  const root = document.documentElement;
  root.classList.replace("no-js", "js");
  const one = (selector) => document.querySelector(selector);
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const MAX_HELD = 200;
  const fresh = new Set();
  let held = [];
  let isOverflowing = false;
  let bare = document.title.replace(/^\(\d+ urgent\) /, "");

  function ticked() { return all('input[name="key"]:checked'); }
  function isPaused() { return document.hidden || ticked().length > 0; }

  // Show the number of urgent alerts in the title and the favicon.
  function count() {
    const counts = one("#counts");
    if (!counts) { return; }
    const urgent = Number(counts.dataset.urgent) || 0;
    document.title = (urgent ? "(" + urgent + " urgent) " : "") + bare;
    const link = one("#favicon");
    const wanted = "/favicon.svg?urgent=" + Math.min(urgent, 99);
    if (link.getAttribute("href") !== wanted) { link.setAttribute("href", wanted); }
  }

  function showNewCount() {
    const news = one("#news");
    if (!news) { return; }
    fresh.forEach((key) => { if (document.getElementById("row-" + key)) { fresh.delete(key); } });
    isOverflowing = isOverflowing || Boolean(one("#counts[data-many]"));
    news.hidden = fresh.size === 0 && !isOverflowing;
    news.querySelector("span").textContent = isOverflowing ? "Very much has changed" : fresh.size + " new";
    if (!one(".rows") && fresh.size) { location.reload(); }
  }

  // A patch without a target on this page: a new row, or a part of other pages.
  document.addEventListener("htmx:oobErrorNoTarget", (event) => {
    const data = event.detail.content && event.detail.content.dataset;
    if (!data || !data.new) { return; }
    // The page may show the entry under another alert of the pair: then it is new only if it has become more urgent.
    const rows = data.keys.split(" ").map((key) => document.getElementById("row-" + key));
    if (!rows.some((row) => row && row.classList.contains("u-" + data.urgency))) { fresh.add(data.new); }
  });
  // Do not replace a form that somebody is writing into.
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const target = event.detail.target;
    if (target.id !== "acts") { return; }
    const isWriting = target.contains(document.activeElement) && document.activeElement !== document.body;
    const hasText = Array.from(target.querySelectorAll('input[type="text"], input[type="date"]'))
      .some((input) => input.value !== input.defaultValue);
    if (isWriting || hasText) { event.detail.shouldSwap = false; }
  });

  document.addEventListener("htmx:sseBeforeMessage", (event) => {
    if (!isPaused()) { return; }
    event.preventDefault();
    if (held.length < MAX_HELD) { held.push(event.detail.data); }
  });
  document.addEventListener("htmx:sseMessage", () => { count(); showNewCount(); });
  function release() {
    const live = one("#live");
    if (!held.length || isPaused() || !live) { return; }
    const waiting = held;
    held = [];
    if (waiting.length >= MAX_HELD) { location.reload(); return; }
    waiting.forEach((html) => htmx.swap(live, html, { swapStyle: "none" }));
    count();
    showNewCount();
  }
  document.addEventListener("visibilitychange", release);

  // While the stream is down, mark the page as stale.
  document.addEventListener("htmx:sseError", () => {
    const stale = one("#stale");
    if (stale && stale.hidden) {
      stale.querySelector("span").textContent = "Not live since " + new Date().toTimeString().slice(0, 5) + ": this page may be old";
      stale.hidden = false;
    }
  });
  document.addEventListener("htmx:sseOpen", () => { const stale = one("#stale"); if (stale) { stale.hidden = true; } });

  function tickedChanged() {
    const bar = one("#bulkbar");
    if (!bar) { return; }
    const number = ticked().length;
    bar.classList.toggle("on", number > 0);
    one("#ticked").textContent = number ? number + " ticked; the page rests meanwhile" : "Tick alerts to act on several at once.";
    const everything = one("#tick-all");
    const boxes = all('input[name="key"]').length;
    everything.checked = number > 0 && number === boxes;
    everything.indeterminate = number > 0 && number < boxes;
    release();
  }
  document.addEventListener("change", (event) => {
    if (event.target.id === "tick-all") {
      all('input[name="key"]').forEach((box) => { box.checked = event.target.checked; });
    }
    if (event.target.id === "tick-all" || event.target.name === "key") { tickedChanged(); }
    if (event.target.closest(".filters") && event.target.tagName === "SELECT") { event.target.form.requestSubmit(); }
    if (event.target.id === "keys-on") { remember("keys", event.target.checked ? "on" : "off"); }
  });

  // Remove the undo button after ten seconds.
  function countDown() {
    all("form.undo:not([data-counting])").forEach((form) => {
      form.dataset.counting = "yes";
      setTimeout(() => form.remove(), Number(form.dataset.seconds) * 1000);
    });
  }

  function remember(name, value) { try { localStorage.setItem("rapport-" + name, value); } catch (_) { return; } }
  function recall(name) { try { return localStorage.getItem("rapport-" + name); } catch (_) { return null; } }

  function move(step) {
    const rows = all(".row");
    if (!rows.length) { return; }
    const at = rows.findIndex((row) => row.classList.contains("at"));
    const next = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
    rows.forEach((row) => row.classList.toggle("at", row === next));
    next.scrollIntoView({ block: "nearest" });
  }
  document.addEventListener("keydown", (event) => {
    const keys = one("#keys-on");
    const isOnBody = event.target === document.body || event.target.id === "main";
    if (!keys || !keys.checked || !isOnBody || event.ctrlKey || event.metaKey || event.altKey) { return; }
    const row = one(".row.at");
    switch (event.key) {
      case "j": move(1); break;
      case "k": move(-1); break;
      case "Enter": if (row) { row.querySelector(".row-link").click(); } return;
      case "x": { const box = row && row.querySelector('input[name="key"]'); if (box) { box.click(); } break; }
      case "a": { const button = (row && row.querySelector(".row-acts button.primary")) || one("#acknowledge"); if (button) { button.click(); } break; }
      case "/": { const search = one("#search"); if (search) { search.focus(); } break; }
      default: return;
    }
    event.preventDefault();
  });

  function begin() {
    bare = document.title.replace(/^\(\d+ urgent\) /, "");
    const keys = one("#keys-on");
    if (keys) { keys.checked = recall("keys") !== "off"; }
    fresh.clear();
    held = [];
    isOverflowing = false;
    countDown();
    tickedChanged();
    count();
  }
  document.addEventListener("htmx:afterSettle", (event) => { if (event.target.id === "main" || event.detail.boosted) { begin(); } });
  document.addEventListener("DOMContentLoaded", begin);
})();
