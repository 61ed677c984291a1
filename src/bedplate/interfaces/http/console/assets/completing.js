// Fields with suggestions: <input data-completes="/address?what=..."> asks that address with `text` (what stands before the caret) and the
// experiments that its form has chosen; the answer {start, options} is a list that arrows, Enter, Tab, Escape and clicks work on.
// With data-adds="#list" what is chosen becomes a ticked box of that list instead of text.
"use strict";
(() => {
  let count = 0;

  function address(input) {
    const url = new URL(input.dataset.completes, location.href);
    url.searchParams.set("text", input.value.slice(0, input.selectionStart ?? input.value.length).slice(-2000));
    for (const box of document.querySelectorAll("input[name=experiment]:checked")) url.searchParams.append("experiment", box.value);
    return url;
  }

  function combobox(input) {
    const list = document.createElement("ul");
    list.id = `options-${count++}`;
    list.className = "options";
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Suggestions");
    list.hidden = true;
    list.tabIndex = -1; // what scrolls is a stop of Tab otherwise, and is gone when it is reached
    input.parentElement.append(list);
    for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id })) input.setAttribute(name, value);
    let at = -1;
    let start = 0;
    let caret = 0;
    let asked = 0;
    let waiting;

    const close = () => { asked += 1; clearTimeout(waiting); list.hidden = true; at = -1; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); };

    function mark(next) {
      list.children[at]?.setAttribute("aria-selected", "false");
      at = (next + list.children.length) % list.children.length;
      list.children[at].setAttribute("aria-selected", "true");
      list.children[at].scrollIntoView({ block: "nearest" });
      input.setAttribute("aria-activedescendant", list.children[at].id);
    }

    function take(text) {
      if (input.dataset.adds) {
        add(document.querySelector(input.dataset.adds), text);
        input.value = "";
      } else {
        const offset = Math.max(caret - 2000, 0);
        input.setRangeText(text, offset + start, caret, "end");
      }
      close();
      input.focus();
      if (!input.dataset.adds && !/\bNULL\s$|'\s$/.test(text)) ask();
    }

    async function ask() {
      const mine = ++asked;
      caret = input.selectionStart ?? input.value.length;
      const typed = Math.max(caret - 2000, 0);
      try {
        const answer = await fetch(address(input), { headers: { Accept: "application/json" } });
        if (!answer.ok || mine !== asked) return;
        const told = await answer.json();
        if (mine !== asked || document.activeElement !== input) return;
        // Characters of the server are code points, those of a field are UTF-16 units.
        start = [...input.value.slice(typed, caret)].slice(0, told.start).join("").length;
        show(told.options);
      } catch { close(); }
    }

    function show(options) {
      list.replaceChildren(...options.map((text, index) => {
        const item = document.createElement("li");
        item.id = `${list.id}-${index}`;
        item.setAttribute("role", "option");
        item.setAttribute("aria-selected", "false");
        item.textContent = text.trim().length > 80 ? text.trim().slice(0, 79) + "…" : text.trim();
        item.dataset.text = text;
        return item;
      }));
      at = -1;
      list.hidden = !options.length;
      input.setAttribute("aria-expanded", String(Boolean(options.length)));
    }

    // What was suggested for another text cannot be taken any more.
    input.addEventListener("input", () => { close(); waiting = setTimeout(ask, 80); });
    input.addEventListener("focus", () => { if (input.dataset.adds || input.value === "") ask(); });
    input.addEventListener("blur", close);
    list.addEventListener("mousedown", (event) => {
      event.preventDefault();
      const item = event.target.closest("li");
      if (item) take(item.dataset.text);
    });
    input.addEventListener("keydown", (event) => {
      const open = !list.hidden;
      if (event.key === "ArrowDown") { event.preventDefault(); if (open) mark(at + 1); else ask(); }
      else if (event.key === "ArrowUp" && open) { event.preventDefault(); mark(at <= 0 ? list.children.length - 1 : at - 1); }
      else if (event.key === "Escape" && open) { event.preventDefault(); close(); }
      else if ((event.key === "Enter" || event.key === "Tab") && open && at >= 0) { event.preventDefault(); take(list.children[at].dataset.text); }
      else if (event.key === "Enter" && input.dataset.adds) { event.preventDefault(); if (input.value.trim()) take(input.value.trim()); }
      else if (event.key === "Enter") close();
    });
  }

  function add(list, name) {
    const known = [...list.querySelectorAll("input")].find((box) => box.value === name);
    if (known) { known.checked = true; return; }
    const label = document.createElement("label");
    label.className = "inline";
    const box = Object.assign(document.createElement("input"), { type: "checkbox", name: "columns", value: name, checked: true });
    label.append(box, name);
    list.append(label);
    list.dispatchEvent(new Event("change", { bubbles: true }));
  }

  for (const input of document.querySelectorAll("[data-completes]")) combobox(input);
})();
