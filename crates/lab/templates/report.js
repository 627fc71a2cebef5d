"use strict";
(function () {
  const report = JSON.parse(document.getElementById("report").textContent);
  const steps = report.chapters.flatMap((chapter) => chapter.steps);
  const switches = report.switches.filter((one) => one.at_seconds !== null);
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Steps and switches as lines behind the data. A number is left out where it would cover another.
  function marks() {
    function line(u, seconds, style, width, dash) {
      const x = Math.round(u.valToPos(seconds, "x", true));
      u.ctx.beginPath();
      u.ctx.strokeStyle = style;
      u.ctx.lineWidth = width * uPlot.pxRatio;
      u.ctx.setLineDash(dash.map((part) => part * uPlot.pxRatio));
      u.ctx.moveTo(x, u.bbox.top);
      u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
      u.ctx.stroke();
      return x;
    }
    function draw(u) {
      u.ctx.save();
      u.ctx.globalAlpha = 0.4;
      for (const one of switches) line(u, one.at_seconds, color("--switch"), 3, []);
      u.ctx.globalAlpha = 1;
      u.ctx.fillStyle = color("--quiet");
      u.ctx.font = `${11 * uPlot.pxRatio}px system-ui, sans-serif`;
      u.ctx.textAlign = "center";
      let taken = -Infinity;
      steps.forEach((step, index) => {
        const x = line(u, step.at_seconds, color("--quiet"), 0.7, [3, 3]);
        if (x - taken < 15 * uPlot.pxRatio) return;
        u.ctx.fillText(String(index + 1), x, u.bbox.top - 4 * uPlot.pxRatio);
        taken = x;
      });
      u.ctx.restore();
    }
    return { hooks: { drawClear: draw } };
  }

  function chart(id, unit, data, lines, scale) {
    const place = document.getElementById(id);
    const number = (value) => value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });
    const axis = {
      stroke: color("--quiet"), grid: { stroke: color("--line"), width: 0.5 }, ticks: { stroke: color("--line") },
      font: "11px system-ui, sans-serif", labelFont: "11px system-ui, sans-serif", labelSize: 18,
    };
    const told = (value) => (value === null || value === undefined ? "–" : `${number(value)} ${unit}`);
    const size = () => ({ width: place.clientWidth - 8, height: place.clientWidth < 500 ? 220 : 280 });
    const plot = new uPlot({
      ...size(),
      padding: [18, 8, 0, 0],
      plugins: [marks()],
      scales: { x: { time: false }, y: scale },
      axes: [
        { ...axis, size: 30, label: "seconds since the load began" },
        { ...axis, size: 52, label: unit, values: (_, values) => values.map((value) => (value === null ? "" : number(value))) },
      ],
      series: [
        { label: "second", value: (_, value) => (value === null || value === undefined ? "–" : value.toFixed(2)) },
        ...lines.map(([label, variable, width]) => ({
          label, stroke: color(variable), width, value: (_, value) => told(value), points: { show: false }, spanGaps: true,
        })),
      ],
    }, data, place);
    return () => plot.setSize(size());
  }

  function quarters() {
    const x = [], y = [];
    for (const one of report.series) {
      one.notifications_slowest.forEach((value, quarter) => {
        x.push(one.second + quarter / 4);
        y.push(value || null);
      });
    }
    return [x, y];
  }

  const fromZero = { range: (_, low, high) => [0, Math.max(1, high * 1.05)] };
  const seconds = report.series.map((one) => one.second);
  const of = (name) => report.series.map((one) => one[name]);
  const positive = (name) => of(name).map((value) => value || null);

  let resize = [];
  function all() {
    for (const place of document.querySelectorAll(".chart")) place.replaceChildren();
    resize = [
      chart("latency", "ms", [seconds, positive("p50"), positive("p99"), positive("max")],
        [["p50", "--p50", 2], ["p99", "--p99", 1.5], ["max", "--max", 1]], { distr: 3 }),
      chart("sign-ups", "ms", [seconds, of("sign_up_p50")], [["p50 of sign-ups", "--p50", 1.5]], fromZero),
      chart("notifications", "ms", quarters(), [["slowest", "--p99", 1.5]], fromZero),
      chart("throughput", "requests/s", [seconds, of("sent"), of("failed")],
        [["sent", "--p50", 2], ["failed", "--bad", 2]], fromZero),
    ];
  }
  if (report.series.length === 0) return;
  all();
  addEventListener("resize", () => resize.forEach((one) => one()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
})();
