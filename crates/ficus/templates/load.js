"use strict";
(function () {
  const run = JSON.parse(document.getElementById("run").textContent);
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const COLORS = ["--p50", "--p99", "--switch", "--good", "--max", "--bad"];
  const number = (value) => value.toLocaleString("en", { maximumFractionDigits: Math.abs(value) < 10 ? 2 : 0 });
  const missing = (value) => value === null || value === undefined;

  // The warm-up as a paler ground, behind the data.
  function warmUp(u) {
    const to = u.valToPos(run.warm_up, "x", true);
    u.ctx.save();
    u.ctx.fillStyle = color("--line");
    u.ctx.globalAlpha = 0.4;
    u.ctx.fillRect(u.bbox.left, u.bbox.top, Math.max(0, Math.min(to, u.bbox.left + u.bbox.width) - u.bbox.left), u.bbox.height);
    u.ctx.restore();
  }

  // A column a second, a row a range of latency; the log of the count, so that single slow requests are seen.
  function heat(u) {
    const most = run.heat.counts.flat().reduce((one, other) => Math.max(one, other), 1);
    u.ctx.save();
    u.ctx.fillStyle = color("--p50");
    run.heat.counts.forEach((column, second) => {
      const left = u.valToPos(second, "x", true), right = u.valToPos(second + 1, "x", true);
      column.forEach((count, row) => {
        if (count === 0) return;
        const bottom = u.valToPos(run.heat.bounds[row], "y", true), top = u.valToPos(run.heat.bounds[row + 1], "y", true);
        u.ctx.globalAlpha = 0.15 + 0.85 * Math.log(count + 1) / Math.log(most + 1);
        u.ctx.fillRect(left, top, Math.max(1, right - left), Math.max(1, bottom - top));
      });
    });
    u.ctx.restore();
  }

  function chart(id, x, unit, data, lines, y, draw) {
    const place = document.getElementById(id);
    const axis = {
      stroke: color("--quiet"), grid: { stroke: color("--line"), width: 0.5 }, ticks: { stroke: color("--line") },
      font: "11px system-ui, sans-serif", labelFont: "11px system-ui, sans-serif", labelSize: 18,
    };
    const told = (value) => (missing(value) ? "–" : `${number(value)} ${unit}`);
    const size = () => ({ width: place.clientWidth - 8, height: place.clientWidth < 500 ? 220 : 280 });
    const plot = new uPlot({
      ...size(),
      padding: [18, 8, 0, 0],
      plugins: [{ hooks: draw }],
      cursor: x.sync ? { sync: { key: "time" } } : {},
      scales: { x: { time: false, range: x.range }, y },
      axes: [
        { ...axis, size: 30, label: x.label },
        { ...axis, size: 56, label: unit, values: (_, values) => values.map((value) => (missing(value) ? "" : number(value))) },
      ],
      series: [
        { label: x.name, value: (_, value) => (missing(value) ? "–" : number(value)) },
        ...lines.map(([label, variable, width]) => ({
          label, stroke: color(variable), width, value: (_, value) => told(value),
          points: { show: Boolean(x.points) }, spanGaps: true,
        })),
      ],
    }, data, place);
    return () => plot.setSize(size());
  }

  const time = { label: "seconds since the load began", name: "second", sync: true, range: () => [0, Math.max(1, run.seconds.length)] };
  const fromZero = { range: (_, low, high) => [0, Math.max(1e-3, high * 1.05)] };
  const at = run.seconds.map((one) => one.second);
  const of = (name) => run.seconds.map((one) => one[name]);
  const paler = { drawClear: warmUp };

  // Lines that were read at times of their own, on one axis.
  function together(lines) {
    const all = [...new Set(lines.flatMap((line) => line.points.map((point) => point[0])))].sort((a, b) => a - b);
    return [all, ...lines.map((line) => {
      const known = new Map(line.points);
      return all.map((one) => (known.has(one) ? known.get(one) : null));
    })];
  }

  let resize = [];
  function all() {
    for (const place of document.querySelectorAll(".chart")) place.replaceChildren();
    resize = [
      chart("heat", time, "ms", [at, at.map(() => null)], [["latency", "--p50", 1]],
        { distr: 3, range: () => [run.heat.bounds[0], run.heat.bounds[run.heat.bounds.length - 1]] },
        { drawClear: (u) => { warmUp(u); heat(u); } }),
      chart("latency", time, "ms", [at, of("p50"), of("p99"), of("max")],
        [["p50", "--p50", 2], ["p99", "--p99", 1.5], ["max", "--max", 1]], { distr: 3 }, paler),
      chart("requests", time, "requests/s", [at, of("due"), of("ok"), of("failed"), of("shed")],
        [["due", "--max", 1], ["ok", "--p50", 2], ["failed", "--bad", 2], ["shed", "--p99", 1.5]], fromZero, paler),
      ...run.charts.map((one, index) => chart(`metric-${index}`, time, one.unit, together(one.lines),
        one.lines.map((line, place) => [line.program, COLORS[place % COLORS.length], 1.5]), fromZero, paler)),
    ];
    if (run.steps.length > 0) {
      const steps = [...run.steps].sort((a, b) => a.rate - b.rate);
      resize.push(chart("knee", { label: "requests/s that were due", name: "rate", points: true }, "ms",
        [steps.map((step) => step.rate), steps.map((step) => step.p50), steps.map((step) => step.p99)],
        [["p50", "--p50", 2], ["p99", "--p99", 1.5]], { distr: 3 }, {}));
    }
  }
  if (run.seconds.length === 0) return;
  all();
  addEventListener("resize", () => resize.forEach((one) => one()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
})();
