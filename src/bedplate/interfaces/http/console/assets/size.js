// The form of a sizing: its address has no empty fields, lists go on after a comma, and a point of the front opens its design.
"use strict";
(() => {
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "asks") return;
    for (const field of event.target.elements) if (field.name && !field.value) field.disabled = true;
  });
  addEventListener("pageshow", () => {
    for (const field of document.getElementById("asks")?.elements ?? []) field.disabled = false;
  });

  // A list of names after commas: what is offered begins with what stands there already.
  document.addEventListener("input", (event) => {
    const list = ["on", "providers"].includes(event.target.name) ? event.target.list : null;
    if (!list) return;
    const before = event.target.value.replace(/[^,]*$/, "").trim();
    for (const option of list.options) {
      option.dataset.name ??= option.value;
      option.value = before ? `${before} ${option.dataset.name}` : option.dataset.name;
    }
  });

  function opened() {
    const wanted = /^#design-\d+$/.test(location.hash) ? document.querySelector(location.hash) : null;
    if (!wanted) return;
    wanted.open = true;
    wanted.scrollIntoView({ block: "nearest" });
  }
  addEventListener("hashchange", opened);
  document.addEventListener("htmx:load", opened);
  opened();
})();
