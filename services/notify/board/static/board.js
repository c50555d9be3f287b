// What a page gains where scripts run: it stays up to date, counts what is new, and follows the keyboard. Without this
// file everything works by links and forms.
(function () {
  "use strict";
  const root = document.documentElement;
  root.classList.replace("no-js", "js");
  const one = (selector) => document.querySelector(selector);
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const MOST_HELD = 200;
  const fresh = new Set();
  let held = [];
  let isMuch = false;
  let bare = document.title.replace(/^\(\d+ urgent\) /, "");

  function ticked() { return all('input[name="key"]:checked'); }
  function isPaused() { return document.hidden || ticked().length > 0; }

  // The title and the mark of the tab say how many are urgent.
  function count() {
    const counts = one("#counts");
    if (!counts) { return; }
    const urgent = Number(counts.dataset.urgent) || 0;
    document.title = (urgent ? "(" + urgent + " urgent) " : "") + bare;
    const link = one("#favicon");
    const wanted = "/favicon.svg?urgent=" + Math.min(urgent, 99);
    if (link.getAttribute("href") !== wanted) { link.setAttribute("href", wanted); }
  }

  function showNews() {
    const news = one("#news");
    if (!news) { return; }
    fresh.forEach((key) => { if (document.getElementById("row-" + key)) { fresh.delete(key); } });
    isMuch = isMuch || Boolean(one("#counts[data-many]"));
    news.hidden = fresh.size === 0 && !isMuch;
    news.querySelector("span").textContent = isMuch ? "Very much has changed" : fresh.size + " new";
    if (!one(".rows") && fresh.size) { location.reload(); }
  }

  // A patch that has no place on this page: a row that is new, or a part that other pages have.
  document.addEventListener("htmx:oobErrorNoTarget", (event) => {
    const told = event.detail.content && event.detail.content.dataset;
    if (!told || !told.new) { return; }
    // An entry that stands here by another alert of the pair is new only where it has become more urgent.
    const rows = told.keys.split(" ").map((key) => document.getElementById("row-" + key));
    if (!rows.some((row) => row && row.classList.contains("u-" + told.urgency))) { fresh.add(told.new); }
  });
  // What somebody is writing into is not replaced under their hands.
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
    if (held.length < MOST_HELD) { held.push(event.detail.data); }
  });
  document.addEventListener("htmx:sseMessage", () => { count(); showNews(); });
  function release() {
    const live = one("#live");
    if (!held.length || isPaused() || !live) { return; }
    const waiting = held;
    held = [];
    if (waiting.length >= MOST_HELD) { location.reload(); return; }
    waiting.forEach((html) => htmx.swap(live, html, { swapStyle: "none" }));
    count();
    showNews();
  }
  document.addEventListener("visibilitychange", release);

  // While the stream is away, what stands here grows old, and says so.
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

  // The way back is open for ten seconds.
  function countDown() {
    all("form.undo:not([data-counting])").forEach((form) => {
      form.dataset.counting = "yes";
      setTimeout(() => form.remove(), Number(form.dataset.seconds) * 1000);
    });
  }

  function remember(name, value) { try { localStorage.setItem("rapport-" + name, value); } catch (_) { return; } }
  function recalled(name) { try { return localStorage.getItem("rapport-" + name); } catch (_) { return null; } }

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
    if (keys) { keys.checked = recalled("keys") !== "off"; }
    fresh.clear();
    held = [];
    isMuch = false;
    countDown();
    tickedChanged();
    count();
  }
  document.addEventListener("htmx:afterSettle", (event) => { if (event.target.id === "main" || event.detail.boosted) { begin(); } });
  document.addEventListener("DOMContentLoaded", begin);
})();
