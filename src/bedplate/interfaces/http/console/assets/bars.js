// Two more kinds of charts, as SVG: "grouped" (for each word a bar of each series, with marks across them, as bounds are) and "overlaid" (two
// distributions over the same bins: the first as an outline, the second filled). Loaded before charts.js, which finds them here.
"use strict";
(() => {
  const cut = (text, most) => (text.length > most ? text.slice(0, Math.max(most - 1, 1)) + "…" : text);

  function legend(tools, svg, items, x, y, width) {
    let left = x;
    let top = y;
    items.forEach(([label, colour, shape]) => {
      const size = 26 + label.length * 6.2;
      if (left > x && left + size > width) { left = x; top += 18; }
      if (shape === "mark") svg.append(tools.element("line", { x1: left + 5, x2: left + 5, y1: top - 10, y2: top + 2, stroke: colour, "stroke-width": 2.5 }));
      else if (shape === "outline") svg.append(tools.element("rect", { x: left, y: top - 9, width: 11, height: 10, fill: "none", stroke: colour, "stroke-width": 1.8 }));
      else svg.append(tools.element("rect", { x: left, y: top - 9, width: 11, height: 10, rx: 2, fill: colour }));
      svg.append(tools.element("text", { x: left + 16, y: top, "font-size": 11.5 }, label));
      left += size;
    });
    return top;
  }

  function begin(tools, plot, height) {
    const width = Math.max(plot.clientWidth, 260);
    const svg = tools.element("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
    plot.replaceChildren(svg);
    return [svg, width];
  }

  function grouped(tools, plot, chart) {
    const bars = chart.series.filter((one) => !one.marks);
    const marks = chart.series.filter((one) => one.marks);
    const words = [...new Set(chart.series.flatMap((one) => [...one.words]))];
    const at = (one, word) => one.y[one.words.indexOf(word)] ?? null;
    const values = chart.series.flatMap((one) => one.y).filter((value) => value !== null);
    const [thick, gap] = [bars.length > 2 ? 9 : 12, 10];
    const row = thick * bars.length + gap;
    const head = 24 + 18 * Math.floor((chart.series.length - 1) / 3);
    const height = head + words.length * row + 8;
    const [svg, width] = begin(tools, plot, height);
    const left = Math.min(Math.max(...words.map((word) => word.length), 6) * 6.8 + 12, width / 3);
    const [least, most] = [Math.min(0, ...values), Math.max(0, ...values)];
    const x = (value) => left + ((value - least) / (most - least || 1)) * (width - left - 62);
    legend(tools, svg, chart.series.map((one) => [one.label, one.marks ? tools.colour("--bad") : tools.stroke(bars.indexOf(one)), one.marks ? "mark" : "bar"]), 0, 12, width);
    words.forEach((word, index) => {
      const top = head + index * row;
      const label = tools.element("text", { x: 0, y: top + (row - gap) / 2 + 4, "font-size": 12 }, cut(word, Math.floor(left / 6.6)));
      label.append(tools.element("title", {}, word));
      svg.append(label);
      bars.forEach((one, place) => {
        const value = at(one, word);
        const y = top + place * thick;
        if (value === null) { svg.append(tools.element("text", { x: x(0) + 4, y: y + thick - 2, "font-size": 10.5 }, "–")); return; }
        const bar = tools.element("rect", { x: Math.min(x(0), x(value)), y: y + 1, width: Math.max(Math.abs(x(value) - x(0)), 1.5), height: thick - 2, rx: 2, fill: tools.stroke(place) });
        bar.append(tools.element("title", {}, `${word}, ${one.label}: ${tools.told(value)}`));
        svg.append(bar, tools.element("text", { x: Math.max(x(value), x(0)) + 5, y: y + thick - 2, "font-size": 10.5 }, tools.told(value)));
      });
      marks.forEach((one) => {
        const value = at(one, word);
        if (value === null) return;
        const mark = tools.element("line", { x1: x(value), x2: x(value), y1: top - 2, y2: top + row - gap + 2, stroke: tools.colour("--bad"), "stroke-width": 2.5 });
        mark.append(tools.element("title", {}, `${word}, ${one.label}: ${tools.told(value)}`));
        svg.append(mark);
      });
    });
  }

  function overlaid(tools, plot, chart) {
    const [before, now] = chart.series;
    const words = [...before.words];
    const [left, top, bottom] = [38, 28, 34];
    const height = 190;
    const [svg, width] = begin(tools, plot, height);
    const most = Math.max(...chart.series.flatMap((one) => one.y), 1e-9);
    const step = (width - left - 6) / words.length;
    const y = (share) => height - bottom - (share / most) * (height - top - bottom);
    legend(tools, svg, [[before.label, tools.stroke(1), "outline"], [now.label, tools.stroke(0), "bar"]], left, 12, width);
    for (const share of [0, most / 2, most]) {
      svg.append(tools.element("line", { x1: left, x2: width - 6, y1: y(share), y2: y(share), stroke: tools.colour("--grid") }));
      svg.append(tools.element("text", { x: left - 5, y: y(share) + 4, "text-anchor": "end", "font-size": 10.5 }, `${(share * 100).toPrecision(2)}%`));
    }
    words.forEach((word, index) => {
      const x = left + index * step;
      const bar = tools.element("rect", { x: x + step * 0.08, y: y(now.y[index]), width: Math.max(step * 0.84, 1), height: Math.max(y(0) - y(now.y[index]), 0), fill: tools.stroke(0), opacity: 0.55 });
      bar.append(tools.element("title", {}, `${word}: ${before.label} ${(before.y[index] * 100).toFixed(1)}%, ${now.label} ${(now.y[index] * 100).toFixed(1)}%`));
      svg.append(bar);
    });
    const outline = words.map((_word, index) => `${index ? "L" : "M"}${left + index * step},${y(before.y[index])} L${left + (index + 1) * step},${y(before.y[index])}`).join(" ");
    svg.append(tools.element("path", { d: outline, fill: "none", stroke: tools.stroke(1), "stroke-width": 1.8 }));
    const every = Math.max(1, Math.ceil((words.reduce((longest, word) => Math.max(longest, word.length), 1) * 6.4 + 8) / step));
    words.forEach((word, index) => {
      if (index % every) return;
      const text = cut(word, 14);
      svg.append(tools.element("text", { x: left + (index + 0.5) * step, y: height - bottom + 14, "text-anchor": "middle", "font-size": 10.5 }, text));
    });
    svg.append(tools.element("text", { x: (left + width) / 2, y: height - 4, "text-anchor": "middle", "font-size": 11 }, cut(chart.x.label, 60)));
  }

  window.bedplateDraws = { ...window.bedplateDraws, grouped, overlaid };
})();
