// Draws every <figure class="graph"> from the JSON that stands in it (see graphs.py): boxes that are links, arrows between them, laid out by
// dagre in the direction that fits better. Drag moves it, the buttons and Ctrl with the wheel zoom; arrow keys go from box to box.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const [WIDTH, HEIGHT, LONGEST] = [196, 52, 25];
  const SIGNS = { good: "✓", bad: "✕", warn: "!", now: "▸", off: "·" };
  const drawings = new Map();

  function element(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  const cut = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);

  // Where each of some boxes leads to each of some others, the arrows meet in a joint: ten lines instead of twenty-five that cross.
  function joined(graph) {
    const known = new Set(graph.nodes.map((node) => node.id));
    const edges = graph.edges.filter((edge) => known.has(edge.source) && known.has(edge.target));
    const targets = Map.groupBy(edges, (edge) => edge.source);
    const alike = Map.groupBy([...targets], ([, out]) => JSON.stringify(out.map((edge) => edge.target).sort()));
    const found = { joints: [], edges: [] };
    for (const some of alike.values()) {
      const out = some[0][1];
      if (some.length < 2 || out.length < 2) { found.edges.push(...some.flatMap(([, own]) => own)); continue; }
      const id = `\0joint ${found.joints.length}`;
      found.joints.push(id);
      found.edges.push(...some.map(([source]) => ({ source, target: id, ends: false })), ...out.map((edge) => ({ ...edge, source: id })));
    }
    return found;
  }

  function laid(graph, direction) {
    const { joints, edges } = joined(graph);
    const plan = new dagre.graphlib.Graph();
    plan.setGraph({ rankdir: direction, nodesep: 18, ranksep: direction === "LR" ? 54 : 40, marginx: 8, marginy: 8 });
    plan.setDefaultEdgeLabel(() => ({}));
    for (const node of graph.nodes) plan.setNode(node.id, { width: WIDTH, height: HEIGHT });
    for (const id of joints) plan.setNode(id, { width: 6, height: 6 });
    for (const edge of edges) plan.setEdge(edge.source, edge.target, edge);
    dagre.layout(plan);
    return plan;
  }

  // Both ways where that is cheap: what fits into the view with larger letters is better.
  function best(graph, width) {
    const fits = (plan) => Math.min(1, width / plan.graph().width, 560 / plan.graph().height);
    const across = laid(graph, width < 600 ? "TB" : "LR");
    if (width < 600 || graph.nodes.length > 150) return across;
    const down = laid(graph, "TB");
    return fits(down) > fits(across) * 1.1 ? down : across;
  }

  function rounded(points) {
    const [first, ...rest] = points;
    let path = `M${first.x},${first.y}`;
    rest.forEach((point, at) => {
      const next = rest[at + 1];
      path += next ? ` Q${point.x},${point.y} ${(point.x + next.x) / 2},${(point.y + next.y) / 2}` : ` L${point.x},${point.y}`;
    });
    return path;
  }

  function box(node, place) {
    const link = element("a", { transform: `translate(${place.x - WIDTH / 2},${place.y - HEIGHT / 2})`, "data-id": node.id });
    link.append(
      element("rect", { class: "body", width: WIDTH, height: HEIGHT, rx: 7 }),
      element("path", { class: "mark", d: `M0,7 a7,7 0 0 1 7,-7 v${HEIGHT} a7,7 0 0 1 -7,-7 z` }),
      element("text", { class: "label", x: 16, y: 21 }),
      element("text", { class: "sub", x: 16, y: 40 }),
      element("text", { class: "state", x: WIDTH - 10, y: 40, "text-anchor": "end" }),
      element("title", {}),
    );
    return link;
  }

  function fill(link, node, chosen) {
    const state = node.state ? `${SIGNS[node.tone] ?? "·"} ${node.state}` : "";
    link.setAttribute("class", `node ${node.tone}${chosen ? " chosen" : ""}`);
    if (node.href) link.setAttribute("href", node.href); else link.removeAttribute("href");
    link.setAttribute("tabindex", "0");
    link.setAttribute("aria-label", [node.label, node.sub, node.state, node.hint].filter(Boolean).join(", ").slice(0, 400));
    if (chosen) link.setAttribute("aria-current", "true");
    link.querySelector(".label").textContent = cut(node.label, LONGEST);
    link.querySelector(".sub").textContent = cut(node.sub, Math.max(8, 27 - state.length));
    link.querySelector(".state").textContent = cut(state, 18);
    link.querySelector("title").textContent = [node.label, node.hint].filter(Boolean).join(": ").slice(0, 600);
  }

  const shape = (graph) => JSON.stringify([graph.nodes.map((node) => node.id), graph.edges.map((edge) => [edge.source, edge.target])]);

  function draw(figure, graph) {
    const view = figure.querySelector(".graph-view");
    if (!view.clientWidth) return; // not shown here: on a phone the table is
    const before = drawings.get(figure);
    if (before && before.shape === shape(graph) && before.width === view.clientWidth) {
      graph.nodes.forEach((node) => fill(before.boxes.get(node.id), node, node.id === graph.chosen));
      return;
    }
    const plan = best(graph, view.clientWidth);
    const svg = element("svg", { role: "group", "aria-label": graph.title });
    const head = element("marker", { id: `head-${graph.name}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" });
    head.append(element("path", { class: "head", d: "M0,0 L8,4 L0,8 z" }));
    const all = element("g", {});
    const boxes = new Map();
    svg.append(element("defs", {}), all);
    svg.firstChild.append(head);
    for (const way of plan.edges().map((edge) => plan.edge(edge))) {
      const line = element("path", { class: "edge", d: rounded(way.points), ...(way.ends === false ? {} : { "marker-end": `url(#head-${graph.name})` }) });
      if (way.label) line.append(element("title", {}, way.label));
      all.append(line);
    }
    for (const node of graph.nodes) {
      const link = box(node, plan.node(node.id));
      fill(link, node, node.id === graph.chosen);
      boxes.set(node.id, link);
      all.append(link);
    }
    const size = plan.graph();
    const drawing = { graph, plan, svg, all, boxes, shape: shape(graph), width: view.clientWidth, size };
    view.replaceChildren(svg);
    drawings.set(figure, drawing);
    fit(drawing);
    if (!figure.dataset.bound) bind(figure, view);
  }

  function show(drawing) {
    drawing.all.setAttribute("transform", `translate(${drawing.at.x},${drawing.at.y}) scale(${drawing.at.scale})`);
  }

  function fit(drawing) {
    const { width, size, svg } = drawing;
    const scale = Math.max(Math.min(1, width / size.width), 0.35);
    const height = Math.min(Math.max(size.height * scale, 120), 620);
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    drawing.height = height;
    drawing.at = { scale, x: Math.max((width - size.width * scale) / 2, 0), y: 0 };
    show(drawing);
  }

  function zoom(drawing, factor, x, y) {
    const { at } = drawing;
    const scale = Math.min(Math.max(at.scale * factor, 0.1), 2.5);
    const [px, py] = [x ?? drawing.width / 2, y ?? drawing.height / 2];
    drawing.at = { scale, x: px - ((px - at.x) / at.scale) * scale, y: py - ((py - at.y) / at.scale) * scale };
    show(drawing);
  }

  // The nearest box in the direction of an arrow key.
  function beside(drawing, id, key) {
    const here = drawing.plan.node(id);
    const along = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[key];
    let found = null;
    for (const other of drawing.boxes.keys()) {
      const place = drawing.plan.node(other);
      const [dx, dy] = [place.x - here.x, place.y - here.y];
      const forward = dx * along[0] + dy * along[1];
      if (other === id || forward <= 4) continue;
      const cost = forward + 2 * Math.abs(dx * along[1]) + 2 * Math.abs(dy * along[0]);
      if (!found || cost < found.cost) found = { other, cost };
    }
    return found?.other;
  }

  function reveal(drawing, id) {
    const place = drawing.plan.node(id);
    const { at, width, height } = drawing;
    const [x, y] = [place.x * at.scale + at.x, place.y * at.scale + at.y];
    if (x < 60 || x > width - 60 || y < 30 || y > height - 30) {
      drawing.at = { ...at, x: at.x + width / 2 - x, y: at.y + height / 2 - y };
      show(drawing);
    }
  }

  function bind(figure, view) {
    figure.dataset.bound = "1";
    const now = () => drawings.get(figure);
    let drag = null;
    let moved = false;
    view.addEventListener("pointerdown", (event) => { drag = { x: event.clientX, y: event.clientY, at: now().at }; moved = false; });
    view.addEventListener("pointermove", (event) => {
      if (!drag || event.buttons === 0) { drag = null; return; }
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      if (Math.abs(dx) + Math.abs(dy) < 5) return;
      moved = true;
      now().at = { ...drag.at, x: drag.at.x + dx, y: drag.at.y + dy };
      show(now());
    });
    addEventListener("pointerup", () => { drag = null; });
    view.addEventListener("dragstart", (event) => event.preventDefault());
    view.addEventListener("click", (event) => { if (moved) event.preventDefault(); });
    view.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const edge = view.getBoundingClientRect();
      zoom(now(), event.deltaY < 0 ? 1.15 : 1 / 1.15, event.clientX - edge.left, event.clientY - edge.top);
    }, { passive: false });
    view.addEventListener("keydown", (event) => {
      const box = event.target.closest?.("[data-id]");
      const next = box && event.key.startsWith("Arrow") ? beside(now(), box.dataset.id, event.key) : null;
      if (!next) return;
      event.preventDefault();
      now().boxes.get(next).focus({ preventScroll: true });
    });
    view.addEventListener("focusin", (event) => { const box = event.target.closest?.("[data-id]"); if (box && !drag) reveal(now(), box.dataset.id); });
    figure.addEventListener("click", (event) => {
      const button = event.target.closest?.("[data-zoom]");
      if (!button) return;
      if (button.dataset.zoom === "fit") fit(now());
      else zoom(now(), button.dataset.zoom === "in" ? 1.25 : 0.8);
    });
    figure.querySelector("[data-svg]")?.addEventListener("click", () => save(figure, now()));
  }

  // A drawing that stands alone: what the style sheet says becomes attributes.
  function save(figure, drawing) {
    const copy = drawing.svg.cloneNode(true);
    const styled = drawing.svg.querySelectorAll("rect, path, text");
    copy.querySelectorAll("rect, path, text").forEach((one, at) => {
      const style = getComputedStyle(styled[at]);
      for (const key of ["fill", "stroke", "stroke-width", "font-size", "font-weight"]) one.setAttribute(key, style.getPropertyValue(key));
      one.setAttribute("font-family", "sans-serif");
    });
    const { size } = drawing;
    copy.querySelector("g").removeAttribute("transform");
    for (const [key, value] of [["width", size.width], ["height", size.height], ["viewBox", `0 0 ${size.width} ${size.height}`]]) copy.setAttribute(key, value);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
    link.download = `${figure.id}.svg`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  async function refresh(figure) {
    const source = figure.graph?.source;
    if (!source) return;
    try {
      const answer = await fetch(source, { headers: { Accept: "application/json" } });
      if (answer.ok) { figure.graph = await answer.json(); draw(figure, figure.graph); }
    } catch { /* the line at the top says that the server is away */ }
  }

  function all(root) {
    for (const figure of drawings.keys()) if (!figure.isConnected) drawings.delete(figure);
    const figures = [...root.querySelectorAll("figure.graph"), ...(root.matches?.("figure.graph") ? [root] : [])];
    for (const figure of figures) {
      const said = figure.querySelector("script[type='application/json']");
      if (!said || drawings.has(figure)) continue;
      figure.graph = JSON.parse(said.textContent);
      draw(figure, figure.graph);
    }
  }

  document.addEventListener("bedplate:changed", () => { for (const figure of drawings.keys()) refresh(figure); });
  setInterval(() => { if (!document.hidden) for (const figure of drawings.keys()) refresh(figure); }, 15000);
  document.addEventListener("htmx:load", (event) => all(event.detail.elt));
  let resizing;
  addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(() => { for (const figure of drawings.keys()) draw(figure, figure.graph); }, 150);
  });
  all(document);
})();
