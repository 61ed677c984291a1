// Settings: a token that was made is shown once, a second factor is begun, and what a trial answered is listed (data-shows="id").
"use strict";
(() => {
  const SIGNS = { ok: "good", warning: "warn", wrong: "bad" };

  function made(name, text, type) {
    const one = document.createElement(name);
    if (text !== undefined) one.textContent = text;
    if (type) one.className = type;
    return one;
  }

  function listed(rows) {
    const [table, head, body] = [made("table"), made("thead"), made("tbody")];
    const names = Object.keys(rows[0] ?? {}).filter((name) => rows.some((row) => row[name]));
    const line = made("tr");
    for (const name of names) { const cell = made("th", name.charAt(0).toUpperCase() + name.slice(1)); cell.scope = "col"; line.append(cell); }
    head.append(line);
    for (const row of rows) {
      const told = made("tr");
      for (const name of names) {
        const cell = made("td");
        cell.append(name === "standing" ? made("span", row[name], `state ${SIGNS[row[name]] ?? "off"}`) : made("bdi", row[name]));
        told.append(cell);
      }
      body.append(told);
    }
    table.append(made("caption", "What was found"), head, body);
    const box = made("div", undefined, "scroll");
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", "What was found");
    box.append(table);
    return box;
  }

  function tried(result) {
    const answer = result.response_status ? `${result.response_status} ${result.response_body ?? ""}` : result.error_message ?? "";
    return [{ standing: result.success ? "ok" : "wrong", answer }];
  }

  document.addEventListener("bedplate:sent", (event) => {
    const [form, told] = [event.target, event.detail];
    if (form.dataset.shows) document.getElementById(form.dataset.shows).replaceChildren(listed(told.rows ?? tried(told.result ?? {})));
    if (form.id === "new-token") {
      const place = document.getElementById("minted");
      place.querySelector("[data-token]").textContent = told.token;
      place.hidden = false;
      form.reset();
    }
    if (form.id === "begin-totp") {
      const next = document.getElementById("prove-totp");
      next.querySelector("[data-secret]").textContent = told.secret.replace(/(.{4})/g, "$1 ").trim();
      if (told.address.startsWith("otpauth://")) next.querySelector("[data-address]").href = told.address;
      if (told.drawing.startsWith("data:image/svg+xml")) next.querySelector("[data-drawing]").src = told.drawing;
      next.elements.secret.value = told.secret;
      next.hidden = false;
      form.hidden = true;
      next.elements.code.focus();
    }
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-copy-token]")) navigator.clipboard?.writeText(document.querySelector("[data-token]").textContent);
  });
})();
