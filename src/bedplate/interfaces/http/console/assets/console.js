// What every page does: it hears of changes, sends forms as JSON with the session's text, and says when the line is lost.
//
// <div id="live" data-live> ... is asked for anew when something changed, as are others of another id; what is outside of them stays.
// <form data-send="POST /path" data-then="/where"> sends its fields as JSON; what is answered wrong is said in its [role=alert].
//   A field with data-as="number|list|json" is sent as that. data-confirm="words" asks first.
//   {word} in its path stands for the value of that field, which is then not sent.
// Other scripts say "bedplate:ask" when they changed something, and hear "bedplate:changed" on the document, and what htmx swapped in by "htmx:load".
"use strict";
(() => {
  const csrf = () => document.body.dataset.csrf;
  const here = document.currentScript;

  // Links that MLflow's clients print lead to the page here: http://HOST/#/experiments/1/runs/RUN, #/experiments/1, #/models/NAME/versions/2.

  const [, kind, name, , run] = location.hash.split("/");
  if (kind === "experiments" && name) location.replace(run ? "/runs/" + run : "/runs?experiment=" + name);
  if (kind === "models" && name) location.replace("/models/" + name);

  // Changes

  let boot = "";
  let lost = false;
  let asked = false;
  let waiting = null;

  function changed() {
    if (document.hidden) { asked = true; return; }
    if (waiting !== null) return;
    waiting = setTimeout(() => {
      waiting = null;
      document.dispatchEvent(new CustomEvent("bedplate:changed"));
      const [live, ...others] = document.querySelectorAll("[data-live]");
      if (live && ![live, ...others].some((one) => one.querySelector("form:focus-within, dialog[open]"))) {
        const selectOOB = others.map((one) => "#" + one.id).join(",");
        const back = held([live, ...others]);
        htmx.ajax("GET", location.pathname + location.search, { source: live, target: live, select: "#" + live.id, swap: "outerHTML", selectOOB }).then(back);
      }
    }, 300);
  }

  // What a person had of what is asked for anew: where the keyboard stood, how far was scrolled, what was opened. It is given back after.

  const called = (one) => one.id || one.getAttribute("href") || one.dataset.run || one.getAttribute("aria-label") || one.textContent.trim();

  function held(places) {
    const [scrolled, opened] = [".scroll, .log, .list, .tall", "details[open] > summary"];
    const ids = places.map((one) => one.id);
    const inside = (what) => ids.flatMap((id) => [...(document.getElementById(id)?.querySelectorAll(what) ?? [])]);
    const far = inside(scrolled).map((one) => [one.scrollLeft, one.scrollTop]);
    const open = new Set(inside(opened).map(called));
    const at = document.activeElement;
    const [tag, name] = places.some((one) => one.contains(at)) ? [at.tagName, called(at)] : ["", ""];
    return () => {
      for (const one of inside("details > summary")) if (open.has(called(one))) one.parentElement.open = true;
      inside(scrolled).forEach((one, place) => { if (far[place]) [one.scrollLeft, one.scrollTop] = far[place]; });
      if (tag && document.activeElement === document.body) inside(tag).find((one) => called(one) === name)?.focus({ preventScroll: true });
    };
  }

  function line(text) {
    const place = document.getElementById("line");
    if (!place) return;
    place.textContent = text;
    place.hidden = !text;
  }

  function heard(said) {
    if (said.word === "lost") {
      lost = true;
      line("The line to the server is lost; it is tried again every second. What is shown may be old.");
      return;
    }
    if (said.word === "hello") {
      const other = boot && said.boot && said.boot !== boot;
      boot = said.boot || boot;
      if (lost || other) { lost = false; line(""); changed(); }
      return;
    }
    changed();
  }

  function listen() {
    if (window.SharedWorker) {
      const worker = new SharedWorker(here.dataset.stream);
      worker.port.onmessage = (message) => heard(message.data);
      addEventListener("pagehide", () => worker.port.postMessage("leave"));
      return;
    }
    const source = new EventSource("/changes");
    source.addEventListener("hello", (event) => heard({ word: "hello", boot: event.data }));
    source.addEventListener("changed", () => heard({ word: "changed" }));
    source.onerror = () => heard({ word: "lost" });
    addEventListener("pagehide", () => source.close());
  }

  addEventListener("offline", () => heard({ word: "lost" }));
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && asked) { asked = false; changed(); }
  });

  // Forms

  function filled(form) {
    const said = {};
    for (const field of form.elements) {
      if (!field.name || field.disabled || (field.type === "checkbox" && field.dataset.as !== "bool" && !field.checked)) continue;
      if (field.type === "radio" && !field.checked) continue;
      const as = field.dataset.as;
      if (as === "bool") said[field.name] = field.checked;
      else if (as === "number") { if (field.value !== "") said[field.name] = Number(field.value); }
      else if (as === "json") said[field.name] = field.value === "" ? null : JSON.parse(field.value);
      else if (as === "list") (said[field.name] ??= []).push(field.value);
      else said[field.name] = field.value;
    }
    return said;
  }

  async function send(form, submitter) {
    const place = form.querySelector("[role=alert]") ?? document.getElementById("told");
    const tell = (text, good) => { place.textContent = text; place.hidden = !text; place.classList.toggle("good", Boolean(good)); };
    const [method, path] = form.dataset.send.split(" ");
    tell("");
    let said;
    try {
      said = filled(form);
    } catch (error) {
      tell(`What is in a field is not JSON: ${error.message}`);
      return;
    }
    if (submitter?.name) said[submitter.name] = submitter.value;
    const at = path.replace(/\{(\w+)\}/g, (_all, name) => { const value = said[name] ?? ""; delete said[name]; return value; });
    form.setAttribute("aria-busy", "true");
    try {
      const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf() };
      const answer = await fetch(at, { method, headers, body: JSON.stringify(said) });
      const text = await answer.text();
      let told = {};
      try { told = JSON.parse(text); } catch { told = { message: text.slice(0, 400) }; }
      if (answer.status === 401) { location.assign("/login?next=" + encodeURI(location.pathname)); return; }
      if (!answer.ok) { tell(told.message ?? told.error?.what ?? `That did not work: ${answer.status}`); return; }
      form.dispatchEvent(new CustomEvent("bedplate:sent", { bubbles: true, detail: told }));
      if (form.dataset.then) location.assign(form.dataset.then);
      else { tell(form.dataset.shows ? "" : told.said ?? "Done.", true); form.closest("dialog")?.close(); changed(); }
    } catch {
      tell("The server did not answer. Nothing is known of what became of it: look before you send it again.");
    } finally {
      form.removeAttribute("aria-busy");
    }
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset.send) return;
    event.preventDefault();
    if (form.dataset.confirm && !confirm(form.dataset.confirm)) return;
    send(form, event.submitter);
  });

  document.addEventListener("bedplate:ask", changed);
  document.addEventListener("htmx:configRequest", (event) => { event.detail.headers["X-CSRF-Token"] = csrf(); });
  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status === 401) location.assign("/login?next=" + encodeURI(location.pathname));
  });

  // Dialogs, the menu, the theme, what has a line to be copied

  document.addEventListener("click", (event) => {
    const opener = event.target.closest?.("[data-opens]");
    if (opener) document.getElementById(opener.dataset.opens)?.showModal();
    const closer = event.target.closest?.("[data-closes]");
    if (closer) closer.closest("dialog")?.close();
    const copies = event.target.closest?.("[data-copies]");
    if (copies) navigator.clipboard?.writeText(copies.dataset.copies === "address" ? location.href : copies.dataset.copies);
  });

  // A menu closes as menus do: by Escape, which gives the keyboard back to what opened it, and by a click beside it.

  function shut(except) {
    for (const one of document.querySelectorAll("details.who[open]")) if (!one.contains(except)) one.open = false;
  }

  document.addEventListener("click", (event) => { if (event.target.isConnected) shut(event.target); });
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && !event.defaultPrevented && document.querySelector("details.who[open]");
    if (!open || document.querySelector("dialog[open]")) return;
    const within = open.contains(document.activeElement);
    shut(null);
    if (within) open.querySelector("summary").focus();
  });

  function menu() {
    const burger = document.getElementById("burger");
    const nav = document.getElementById("nav");
    burger?.addEventListener("click", () => {
      const open = nav.classList.toggle("open");
      burger.setAttribute("aria-expanded", String(open));
    });
    document.getElementById("theme")?.addEventListener("click", () => {
      const root = document.documentElement;
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      try { localStorage.setItem("theme", root.dataset.theme); } catch { /* then for this page only */ }
      document.dispatchEvent(new CustomEvent("bedplate:theme"));
    });
  }

  // What is drawn by days begins at its newest end, where a page is too narrow for all of it.

  function ended() {
    for (const one of document.querySelectorAll("[data-end]")) one.scrollLeft = one.scrollWidth;
  }

  document.addEventListener("htmx:load", ended);

  // Addresses that a tracker's client prints lead to the pages of the same things.

  function forwarded() {
    const run = /^#\/experiments\/\d+\/runs\/([0-9A-Za-z_-]+)/.exec(location.hash);
    const model = /^#\/models\/(?!\.{1,2}(?:\/|$))([^/\\?#]+)(?:\/versions\/(\d+))?/.exec(location.hash);
    const experiment = /^#\/experiments\/(\d+)/.exec(location.hash);
    if (run) location.replace("/runs/" + run[1]);
    else if (model) location.replace("/models/" + model[1] + (model[2] ? "/" + model[2] : ""));
    else if (experiment) location.replace("/runs?experiment=" + experiment[1]);
  }

  forwarded();
  menu();
  listen();
})();
