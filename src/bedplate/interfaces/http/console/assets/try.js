// The form that tries a service: its fields are what the service's own description (OpenAPI) says, its example values too. What is answered
// is drawn with the time that it took here, the versions that answered, and a link to the prediction as it is recorded.
"use strict";
(() => {
  // What is read after the page: it stays while somebody is in it, and says so where it cannot be had.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.id === "traffic" && event.detail.elt.querySelector(":focus")) event.preventDefault();
  });
  document.addEventListener("htmx:responseError", (event) => {
    const place = event.detail.elt.querySelector("[role=status]");
    if (place) place.textContent = "It cannot be read now: load the page again in a moment.";
  });

  const form = document.getElementById("try-form");
  if (!form) return;
  const [place, alert, button] = [form.querySelector("[data-fields]"), form.querySelector("[role=alert]"), form.querySelector("button[type=submit]")];
  const shown = form.parentElement.querySelector("[data-answer]");
  const { service, mounted } = form.dataset;
  let fields = [];

  const made = (name, attributes = {}, text = "") => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    return element;
  };

  function tell(text) {
    alert.textContent = text;
    alert.hidden = !text;
  }

  function resolved(schema, schemas) {
    if (schema.$ref) return resolved(schemas[schema.$ref.split("/").pop()] ?? {}, schemas);
    if (!schema.anyOf) return { schema, optional: false };
    const some = schema.anyOf.filter((one) => one.type !== "null");
    return { schema: some.length === 1 ? resolved(some[0], schemas).schema : {}, optional: some.length < schema.anyOf.length };
  }

  function input(field, value) {
    const { schema, id, optional, required } = field;
    const needed = required && !optional && schema.type !== "string" ? { required: "" } : {};
    const text = value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
    if (schema.enum || schema.type === "boolean") {
      const select = made("select", { id });
      const options = schema.enum ?? [true, false];
      if (optional) select.append(made("option", { value: "" }, "none"));
      for (const one of options) select.append(made("option", { value: JSON.stringify(one) }, String(one)));
      select.value = value === null || value === undefined ? select.options[0].value : JSON.stringify(value);
      return select;
    }
    if (schema.type === "number" || schema.type === "integer") {
      const element = made("input", { id, type: "number", step: schema.type === "integer" ? "1" : "any", ...needed });
      element.value = text;
      return element;
    }
    if (schema.type === "string") {
      const element = made("input", { id, type: "text", autocomplete: "off", maxlength: "100000" });
      element.value = text;
      return element;
    }
    const element = made("textarea", { id, rows: "3", cols: "40", spellcheck: "false" });
    element.value = text;
    return element;
  }

  function said(field) {
    const text = field.input.value;
    const { schema, optional, required } = field;
    if (text === "" && optional) return null;
    if (text === "" && !required) return undefined;
    if (schema.type === "string" && !schema.enum) return text;
    if (schema.type === "number" || schema.type === "integer") return Number(text);
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new Error(`${field.name} is not JSON: ${error.message}`);
    }
  }

  async function begin() {
    const answer = await fetch(`${mounted}/openapi.json`);
    if (!answer.ok) throw new Error(`the service did not say what it takes: ${answer.status}`);
    const said = await answer.json();
    const asked = said.paths[`/${service}`]?.post;
    if (!asked) throw new Error("this server does not answer for it");
    const content = asked.requestBody.content["application/json"];
    const schemas = said.components.schemas;
    const { schema } = resolved(content.schema.anyOf?.[0] ?? content.schema, schemas);
    let example = content.example ?? {};
    if (form.dataset.example) try { example = { ...example, ...JSON.parse(form.dataset.example) }; } catch { /* the service's own, then */ }
    fields = Object.entries(schema.properties ?? {}).map(([name, one], at) => (
      { name, id: `try-${at}`, required: (schema.required ?? []).includes(name), ...resolved(one, schemas) }
    ));
    place.replaceChildren(...fields.map((field) => {
      const holder = made("div");
      const label = made("label", { for: field.id }, field.name);
      label.append(made("span", { class: "soft" }, ` ${field.schema.enum ? "one of" : field.schema.format ?? field.schema.type ?? "JSON"}${field.optional ? ", or none" : ""}`));
      field.input = input(field, example[field.name]);
      holder.append(label, field.input);
      return holder;
    }));
    if (!fields.length) place.replaceChildren(made("p", { class: "soft" }, "It takes no fields."));
    if (!asked["x-bedplate"]?.ready) tell(`It is not ready: ${asked["x-bedplate"]?.reason ?? ""}`);
    button.disabled = false;
  }

  // The log is written each second: what leads to the record leads there once it is.
  function recorded(id) {
    const place = made("span", {}, `${id}, being written`);
    setTimeout(() => place.replaceChildren(made("a", { href: form.dataset.predictions + encodeURIComponent(id) }, id)), 1500);
    return place;
  }

  function draw(answer, body, took) {
    const list = made("dl", { class: "pairs" });
    const pair = (name, value) => { const held = made("dd"); held.append(value); list.append(made("dt", {}, name), held); };
    const result = body.result;
    pair("answer", made("code", { id: "try-result" }, typeof result === "object" && result !== null ? JSON.stringify(result, null, 2) : String(result)));
    if (typeof result === "number" && result >= 0 && result <= 1) pair("", made("meter", { min: "0", max: "1", value: String(result), "aria-label": "the answer between 0 and 1" }));
    pair("answered by", answer.headers.get("x-model-version") || "no model");
    pair("took", `${took.toFixed(1)} ms, from this browser`);
    if (body.prediction_id) pair("recorded as", recorded(body.prediction_id));
    shown.replaceChildren(list);
    shown.hidden = false;
  }

  async function ask() {
    const asked = {};
    for (const field of fields) {
      const value = said(field);
      if (value !== undefined) asked[field.name] = value;
    }
    const headers = { "Content-Type": "application/json", "X-CSRF-Token": document.body.dataset.csrf };
    const started = performance.now();
    const answer = await fetch(`${mounted}/${encodeURIComponent(service)}`, { method: "POST", headers, body: JSON.stringify(asked) });
    const body = await answer.json();
    const took = performance.now() - started;
    if (answer.ok) { draw(answer, body, took); return; }
    shown.hidden = true;
    const error = body.error ?? {};
    tell([error.what ?? body.message ?? `That did not work: ${answer.status}`, error.why, error.next].filter(Boolean).join(". "));
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    tell("");
    form.setAttribute("aria-busy", "true");
    try { await ask(); } catch (error) { tell(error.message); } finally { form.removeAttribute("aria-busy"); }
  });
  begin().catch((error) => { place.replaceChildren(); tell(error.message); });
})();
