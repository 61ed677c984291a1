// The page of runs: which rows are chosen stays with the tab over pages and reloads; acts on them go one by one to the endpoints that clients use.
"use strict";
(() => {
  const KEPT = "bedplate:runs";
  let chosen = new Set();
  try { chosen = new Set(JSON.parse(sessionStorage.getItem(KEPT) ?? "[]")); } catch { /* then none are */ }

  function draw() {
    try { sessionStorage.setItem(KEPT, JSON.stringify([...chosen])); } catch { /* then for this page only */ }
    const boxes = [...document.querySelectorAll("[data-run]")];
    for (const box of boxes) {
      box.checked = chosen.has(box.dataset.run);
      box.closest("tr").classList.toggle("is-chosen", box.checked);
    }
    const all = document.querySelector("[data-all]");
    if (all) {
      const ticked = boxes.filter((box) => box.checked).length;
      all.checked = ticked > 0 && ticked === boxes.length;
      all.indeterminate = ticked > 0 && ticked < boxes.length;
    }
    const bar = document.getElementById("chosen");
    bar.hidden = !chosen.size;
    for (const place of document.querySelectorAll("[data-count]")) place.textContent = chosen.size;
    const compare = bar.querySelector("[data-act=compare]");
    compare.disabled = chosen.size < 2 || chosen.size > 200;
    compare.title = compare.disabled ? "Choose from 2 to 200 runs" : "";
  }

  let last = null;
  document.addEventListener("click", (event) => {
    const box = event.target.closest?.("[data-run]");
    if (box) {
      const boxes = [...document.querySelectorAll("[data-run]")];
      const from = event.shiftKey && last !== null ? boxes.findIndex((one) => one.dataset.run === last) : -1;
      const to = boxes.indexOf(box);
      for (const one of from < 0 ? [box] : boxes.slice(Math.min(from, to), Math.max(from, to) + 1)) {
        if (box.checked) chosen.add(one.dataset.run); else chosen.delete(one.dataset.run);
      }
      last = box.dataset.run;
      draw();
    }
    const all = event.target.closest?.("[data-all]");
    if (all) {
      for (const one of document.querySelectorAll("[data-run]")) { if (all.checked) chosen.add(one.dataset.run); else chosen.delete(one.dataset.run); }
      draw();
    }
    const act = event.target.closest?.("[data-act]")?.dataset.act;
    if (act === "none") { chosen.clear(); draw(); }
    if (act === "compare") location.assign("/compare?runs=" + [...chosen].map(encodeURIComponent).join(","));
  });

  async function each(form) {
    const place = form.querySelector("[role=alert]");
    const said = Object.fromEntries(new FormData(form));
    const runs = [...chosen];
    let done = 0;
    place.hidden = false;
    place.classList.add("good");
    for (const run of runs) {
      place.textContent = `${done} of ${runs.length} done…`;
      try {
        const headers = { "Content-Type": "application/json", "X-CSRF-Token": document.body.dataset.csrf };
        const answer = await fetch(form.dataset.each, { method: "POST", headers, body: JSON.stringify({ ...said, run_id: run }) });
        if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).message ?? `That did not work: ${answer.status}`);
      } catch (error) {
        place.classList.remove("good");
        place.textContent = `${done} of ${runs.length} done, then: ${error.message}`;
        return;
      }
      done += 1;
    }
    place.hidden = true;
    form.reset();
    form.closest("dialog").close();
    const told = document.getElementById("told");
    told.textContent = `Done, for ${done} run${done === 1 ? "" : "s"}.`;
    told.classList.add("good");
    told.hidden = false;
    document.dispatchEvent(new CustomEvent("bedplate:ask"));
  }

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.dataset.each) {
      event.preventDefault();
      form.setAttribute("aria-busy", "true");
      await each(form);
      form.removeAttribute("aria-busy");
    }
    if (form.id === "ask") leave(form);
  });

  // The address keeps what was said, and nothing that is as it would be anyway.
  function leave(form) {
    const columns = [...form.querySelectorAll("input[name=columns]")];
    const common = columns.length && columns.every((box) => box.dataset.common !== undefined && box.checked);
    for (const field of form.elements) {
      if (field.name && (field.value === "" || (field.name === "columns" && common))) field.disabled = true;
    }
    if (columns.length && !columns.some((box) => box.checked)) {
      form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "columns", value: "" }));
    }
  }
  addEventListener("pageshow", () => { for (const field of document.getElementById("ask").elements) field.disabled = false; });

  document.addEventListener("input", (event) => {
    const narrows = event.target.dataset?.narrows;
    if (!narrows) return;
    const word = event.target.value.toLowerCase();
    for (const label of document.querySelectorAll(`${narrows} label`)) label.hidden = !label.textContent.toLowerCase().includes(word);
  });

  document.addEventListener("htmx:load", draw);
  draw();
})();
