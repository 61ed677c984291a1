// Draws every <figure class="chart"> from the JSON that stands in it (see charts.py): lines, clouds and bars by uPlot, spans
// as SVG, others by scripts that a page loads before this one (bedplateDraws). A chart with a source asks for the stretch that is zoomed into; a double click shows all again. A <figure> that has
// only a data-source asks for its chart when it is first looked at.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const drawn = new Map();

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const stroke = (at) => colour(`--s${(at % 8) + 1}`);
  const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3]];

  function told(value) {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e7)) return value.toExponential(3);
    return String(Number(value.toPrecision(6)));
  }

  // A duration as the tables tell it.
  function took(seconds) {
    for (const [most, factor, unit, digits] of [[1e-3, 1e6, "us", 0], [1, 1e3, "ms", 0], [120, 1, "s", 1], [7200, 1 / 60, "min", 1]])
      if (seconds < most) return `${(seconds * factor).toFixed(digits)} ${unit}`;
    return `${(seconds / 3600).toFixed(1)} h`;
  }

  // Times are told in UTC, as everywhere on these pages: for steps of so many seconds, what stands at each tick and what below it where
  // the day, or the year, begins.
  const DAY = "\n{YYYY}-{MM}-{DD}";
  const TIMES = [
    [86400 * 365, "{YYYY}", null, null, null, null, null, null, 1],
    [86400 * 28, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
    [86400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
    [60, "{HH}:{mm}", DAY, null, DAY, null, null, null, 1],
    [1, "{HH}:{mm}:{ss}", DAY, null, DAY, null, null, null, 1],
    [0.001, "{ss}.{fff}", DAY, null, DAY, null, null, null, 1],
  ];

  function axis(of, extra) {
    return { label: of.shape === "time" && !of.label.includes("UTC") ? `${of.label} (UTC)` : of.label, labelSize: 20, size: extra, stroke: colour("--soft"), grid: { stroke: colour("--grid"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1 }, font: "11px system-ui", labelFont: "11px system-ui",
      ...(of.shape === "whole" ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] } : {}),
      ...(of.shape === "time" ? { values: TIMES, space: 64 } : { values: (_u, ticks) => ticks.map((tick) => (tick === null ? "" : told(tick))) }) };
  }

  function joined(series) {
    const tables = series.map((one) => [Array.from(one.x), Array.from(one.y)]);
    return tables.length === 1 ? tables[0] : uPlot.join(tables);
  }

  function smoothed(ys, weight) {
    let last = null;
    return ys.map((y) => {
      if (y === null || y === undefined) return y;
      last = last === null ? y : last * weight + y * (1 - weight);
      return last;
    });
  }

  function options(figure, chart, width) {
    const scatter = chart.draws === "scatter";
    const bars = chart.draws === "bars";
    const line = (one, at) => ({
      label: one.label, stroke: stroke(at), width: 1.6, dash: DASHES[Math.floor(at / 8) % 4], spanGaps: true,
      value: (_u, value) => told(value),
      ...(scatter ? { paths: () => null, points: { show: true, size: 7, fill: stroke(at) } } : {}),
      ...(bars ? { paths: uPlot.paths.bars({ size: [0.8, 60], align: 0 }), fill: stroke(at) + "88", points: { show: false } } : {}),
      ...(!scatter && !bars && one.x.length > 1 ? { points: { show: one.y.filter((y) => y !== null).length < 40, size: 5 } } : {}),
    });
    return {
      width, height: Number(figure.dataset.height) || 220, tzDate: (at) => uPlot.tzDate(new Date(at * 1e3), "Etc/UTC"),
      scales: { x: { time: chart.x.shape === "time", distr: chart.x.shape === "log" ? 3 : 1 }, y: { distr: chart.y.shape === "log" ? 3 : 1 } },
      axes: [axis(chart.x, chart.x.shape === "time" ? 56 : 40), axis(chart.y, 62)],
      cursor: { ...(chart.series.length > 1 && !scatter && !bars ? { focus: { prox: 30 } } : {}), drag: { x: true, y: false, setScale: !chart.source }, sync: figure.dataset.sync ? { key: figure.dataset.sync } : undefined },
      legend: { show: chart.series.length <= 24 },
      series: [{ label: chart.x.label, value: (_u, value) => (chart.x.shape === "time" && value ? new Date(value * 1000).toISOString().slice(0, 19) : told(value)) },
        ...chart.series.map(line)],
      ...(chart.series.length > 1 && !scatter && !bars ? { focus: { alpha: 0.25 } } : {}),
      hooks: { setSelect: [(plot) => zoom(figure, chart, plot)], setSeries: [(_plot, at) => points(figure, at === null ? "" : chart.series[at - 1]?.label)],
        setCursor: scatter ? [(plot) => points(figure, nearest(plot, chart.series))] : [] },
    };
  }

  function points(figure, words) {
    const place = figure.querySelector(".pointed");
    if (place) place.textContent = words || " ";
  }

  function nearest(plot, series) {
    // The words of the point that is next to the pointer, of whichever cloud.
    let [best, words] = [20, ""];
    for (const one of series) {
      one.x.forEach((x, at) => {
        const far = one.y[at] === null ? Infinity : Math.hypot(plot.valToPos(x, "x") - plot.cursor.left, plot.valToPos(one.y[at], "y") - plot.cursor.top);
        if (far < best) [best, words] = [far, `${one.words[at] ?? one.label}: ${told(x)}, ${told(one.y[at])}`];
      });
    }
    return words;
  }

  async function zoom(figure, chart, plot) {
    if (!chart.source || plot.select.width < 4) return;
    const first = plot.posToVal(plot.select.left, "x");
    const last = plot.posToVal(plot.select.left + plot.select.width, "x");
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    figure.stretch = `${chart.source.includes("?") ? "&" : "?"}first=${first}&last=${last}`;
    await ask(figure, chart.source + figure.stretch);
  }

  async function ask(figure, address) {
    try {
      const answer = await fetch(address, { headers: { Accept: "application/json" } });
      if (answer.ok) draw(figure, await answer.json());
      else if (!figure.chart) figure.querySelector(".plot").textContent = `It could not be loaded (${answer.status}): load the page again.`;
    } catch { figure.awaited = false; /* the line at the top says that the server is away */ }
  }

  function element(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function spans(plot, chart) {
    const rows = [];
    for (const one of chart.series) one.x.forEach((x, at) => rows.push({ label: one.words[at] ?? one.label, group: one.label, from: x, to: one.y[at] ?? x }));
    const groups = [...new Set(rows.map((row) => row.group))];
    const least = Math.min(...rows.map((row) => row.from));
    const most = Math.max(...rows.map((row) => row.to), least + 1e-9);
    const [width, left, height] = [Math.max(plot.clientWidth, 280), Math.min(200, plot.clientWidth / 3), 22];
    const svg = element("svg", { width, height: rows.length * height + 26, viewBox: `0 0 ${width} ${rows.length * height + 26}` });
    const at = (value) => left + ((value - least) / (most - least)) * (width - left - 70);
    rows.forEach((row, index) => {
      const y = index * height;
      const label = row.label.length > left / 7 ? row.label.slice(0, left / 7 - 1) + "…" : row.label;
      svg.append(element("text", { x: 0, y: y + 15, "font-size": 12 }, label));
      const bar = element("rect", { x: at(row.from), y: y + 4, width: Math.max(at(row.to) - at(row.from), 2), height: height - 8, rx: 3, fill: stroke(groups.indexOf(row.group)) });
      bar.append(element("title", {}, `${row.group}: ${row.label}, ${took(row.to - row.from)}, ${took(row.from - least)} after the first`));
      svg.append(bar, element("text", { x: at(row.to) + 5, y: y + 15, "font-size": 11 }, took(row.to - row.from)));
    });
    svg.append(
      element("text", { x: left, y: rows.length * height + 18, "font-size": 11 }, `${took(least)} ${chart.x.label}`),
      ...(width > 500 ? [element("text", { x: at(most), y: rows.length * height + 18, "font-size": 11, "text-anchor": "end" }, took(most))] : []),
    );
    plot.replaceChildren(svg);
  }

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      ask(entry.target, entry.target.dataset.source);
    }
  }, { rootMargin: "300px" });

  function inView(figure) {
    const box = figure.getBoundingClientRect();
    return box.bottom > -300 && box.top < innerHeight + 300;
  }

  function draw(figure, chart) {
    const place = figure.querySelector(".plot");
    const before = drawn.get(figure);
    before?.plot?.destroy();
    place.replaceChildren();
    figure.chart = chart;
    const note = figure.querySelector(".note");
    if (note) note.textContent = chart.note ?? "";
    const drawer = window.bedplateDraws?.[chart.draws];
    if (drawer) { drawer({ element, stroke, colour, told }, place, chart); drawn.set(figure, {}); return; }
    if (chart.draws === "spans") { spans(place, chart); drawn.set(figure, {}); return; }
    const weight = chart.draws === "line" ? Number(figure.dataset.smooth ?? 0) : 0;
    const series = weight ? chart.series.map((one) => ({ ...one, y: smoothed(one.y, weight) })) : chart.series;
    const plot = new uPlot(options(figure, chart, Math.max(place.clientWidth, 240)), joined(series), place);
    place.ondblclick = () => { figure.stretch = ""; if (chart.source) ask(figure, chart.source); };
    drawn.set(figure, { plot });
  }

  function png(figure) {
    const canvas = figure.querySelector("canvas");
    const save = (address) => {
      const link = document.createElement("a");
      link.href = address;
      link.download = `${figure.id}.png`;
      link.click();
    };
    if (canvas) {
      const out = document.createElement("canvas");
      [out.width, out.height] = [canvas.width, canvas.height];
      const context = out.getContext("2d");
      context.fillStyle = colour("--card");
      context.fillRect(0, 0, out.width, out.height);
      context.drawImage(canvas, 0, 0);
      save(out.toDataURL("image/png"));
      return;
    }
    const svg = figure.querySelector("svg");
    if (!svg) return;
    const image = new Image();
    image.onload = () => {
      const out = document.createElement("canvas");
      [out.width, out.height] = [image.width * 2, image.height * 2];
      const context = out.getContext("2d");
      context.fillStyle = colour("--card");
      context.fillRect(0, 0, out.width, out.height);
      context.drawImage(image, 0, 0, out.width, out.height);
      save(out.toDataURL("image/png"));
    };
    const copy = svg.cloneNode(true);
    copy.setAttribute("xmlns", SVG);
    const drawnBy = svg.querySelectorAll("*");
    copy.querySelectorAll("*").forEach((one, at) => {
      const style = getComputedStyle(drawnBy[at]);
      for (const name of ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-size", "font-weight"]) one.setAttribute(name, style.getPropertyValue(name));
      if (one.tagName === "text") one.setAttribute("font-family", "sans-serif");
    });
    if (!copy.getAttribute("width")) { copy.setAttribute("width", svg.clientWidth); copy.setAttribute("height", svg.clientHeight); }
    image.src = "data:image/svg+xml," + encodeURIComponent(new XMLSerializer().serializeToString(copy));
  }

  function all(root) {
    for (const figure of drawn.keys()) if (!figure.isConnected) { drawn.get(figure).plot?.destroy(); drawn.delete(figure); }
    for (const figure of root.querySelectorAll("figure.chart")) {
      const said = figure.querySelector("script[type='application/json']");
      if (said && !drawn.has(figure)) draw(figure, JSON.parse(said.textContent));
      else if (!said && figure.dataset.source && !figure.chart && !figure.awaited) { figure.awaited = true; seen.observe(figure); }
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-png]");
    if (button) png(button.closest("figure"));
  });
  document.addEventListener("input", (event) => {
    if (event.target.dataset?.smooths === undefined) return;
    for (const figure of drawn.keys()) { figure.dataset.smooth = event.target.value; draw(figure, figure.chart); }
  });
  document.addEventListener("bedplate:changed", () => {
    for (const figure of drawn.keys()) if (figure.chart.live && figure.chart.source && inView(figure)) ask(figure, figure.chart.source + (figure.stretch ?? ""));
  });
  document.addEventListener("bedplate:theme", () => { for (const figure of drawn.keys()) draw(figure, figure.chart); });
  document.addEventListener("htmx:load", (event) => all(event.detail.elt));
  let resizing;
  addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(() => { for (const figure of drawn.keys()) draw(figure, figure.chart); }, 150); });
  all(document);
})();
