// The page that compares runs: what is chosen is asked for at once, and rows that are the same can be left out.
"use strict";
(() => {
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (form?.dataset.auto !== undefined && !event.target.closest("details")) form.requestSubmit();
    if (event.target.id === "only-differing") document.getElementById("values").classList.toggle("only-differing", event.target.checked);
  });
  document.addEventListener("submit", (event) => {
    if (event.target.dataset.auto === undefined) return;
    for (const field of event.target.elements) if (field.name && field.value === "") field.disabled = true;
  });
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-auto]")) for (const field of form.elements) field.disabled = false;
    const only = document.getElementById("only-differing");
    if (only?.checked) document.getElementById("values").classList.add("only-differing");
  });
})();
