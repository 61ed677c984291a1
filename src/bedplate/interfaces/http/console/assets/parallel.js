// Parallel coordinates: each run a line over axes. Dragging along an axis keeps the lines that cross it there, a double click lets all back;
// the line under the pointer is named, a click on it leads to its run. Loaded before charts.js, which draws by it.
"use strict";
(window.bedplateDraws ??= {}).parallel = ({ element, stroke, colour, told }, plot, chart) => {
  const axes = chart.series[0]?.words ?? [];
  const [width, height, top, bottom] = [Math.max(plot.clientWidth, axes.length * 110), 320, 40, 24];
  const svg = element("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
  const x = (at) => 60 + (at * (width - 120)) / Math.max(axes.length - 1, 1);
  const range = axes.map((_name, at) => {
    const values = chart.series.map((one) => one.y[at]).filter((value) => value !== null);
    return [Math.min(...values), Math.max(...values)];
  });
  const y = (value, at) => {
    const [least, most] = range[at];
    return most === least ? (top + height - bottom) / 2 : height - bottom - ((value - least) / (most - least)) * (height - bottom - top);
  };
  const kept = axes.map(() => null);
  const named = document.createElement("p");
  named.className = "pointed soft";
  named.textContent = " ";

  const faint = chart.series.length > 40 ? 0.45 : 0.8;
  const lines = chart.series.map((one, index) => {
    let path = "";
    one.y.forEach((value, at) => { if (value !== null) path += `${path && one.y[at - 1] !== null ? "L" : "M"}${x(at).toFixed(1)} ${y(value, at).toFixed(1)}`; });
    const line = element("path", { d: path, fill: "none", stroke: stroke(index), "stroke-width": 1.6, opacity: faint });
    const wide = element("path", { d: path, fill: "none", stroke: "transparent", "stroke-width": 12 });
    wide.append(element("title", {}, one.label));
    wide.addEventListener("pointerenter", () => { line.setAttribute("stroke-width", 4); named.textContent = one.label; });
    wide.addEventListener("pointerleave", () => { line.setAttribute("stroke-width", 1.6); named.textContent = " "; });
    if (one.href) { wide.style.cursor = "pointer"; wide.addEventListener("click", () => location.assign(one.href)); }
    svg.append(line, wide);
    return { one, line, wide };
  });

  function keep() {
    let count = 0;
    for (const { one, line, wide } of lines) {
      const stays = kept.every((stretch, at) => stretch === null || (one.y[at] !== null && one.y[at] >= stretch[0] && one.y[at] <= stretch[1]));
      line.setAttribute("opacity", stays ? faint : 0.05);
      wide.setAttribute("pointer-events", stays ? "stroke" : "none");
      count += stays;
    }
    named.textContent = kept.some((stretch) => stretch !== null) ? `${count} of ${lines.length} runs are kept` : " ";
  }

  axes.forEach((name, at) => {
    const words = chart.levels?.[name];
    const edge = (value) => (words ? (words[value] ?? "") : told(value));
    const brief = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);
    const label = element("text", { x: x(at), y: 14, "text-anchor": "middle", "font-size": 11.5, "font-weight": 600 }, brief(name, 17));
    label.append(element("title", {}, name));
    svg.append(element("line", { x1: x(at), x2: x(at), y1: top, y2: height - bottom, stroke: colour("--off") }), label);
    const marks = words && words.length <= 8 ? words.map((_word, place) => place) : range[at][0] === range[at][1] ? [range[at][0]] : range[at];
    for (const value of marks) svg.append(element("text", { x: x(at) + 5, y: Math.min(Math.max(y(value, at) + (words ? 4 : value === range[at][1] ? -6 : 15), 30), height - 6), "font-size": 10.5, stroke: colour("--card"), "stroke-width": 4, "stroke-linejoin": "round", "paint-order": "stroke" }, brief(edge(value), 14)));
    const brush = element("rect", { x: x(at) - 7, width: 14, y: 0, height: 0, rx: 3, fill: colour("--now"), opacity: 0.3, "pointer-events": "none" });
    const handle = element("rect", { x: x(at) - 12, width: 24, y: top, height: height - bottom - top, fill: "transparent", cursor: "ns-resize" });
    let from = null;
    const value = (place) => range[at][0] + ((height - bottom - place) / (height - bottom - top)) * (range[at][1] - range[at][0]);
    const place = (event) => Math.min(Math.max(event.clientY - svg.getBoundingClientRect().top, top), height - bottom);
    handle.addEventListener("pointerdown", (event) => { from = place(event); handle.setPointerCapture(event.pointerId); });
    handle.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const to = place(event);
      brush.setAttribute("y", Math.min(from, to));
      brush.setAttribute("height", Math.abs(to - from));
      kept[at] = Math.abs(to - from) < 3 ? null : [value(Math.max(from, to)), value(Math.min(from, to))];
      keep();
    });
    handle.addEventListener("pointerup", () => { from = null; if (kept[at] === null) brush.setAttribute("height", 0); });
    handle.addEventListener("dblclick", () => { kept[at] = null; brush.setAttribute("height", 0); keep(); });
    svg.append(brush, handle);
  });
  plot.replaceChildren(svg, named);
};
