/* Draw a figure's table as a chart. The table stays: it is what a screen reader reads and what somebody copies. */
(function () {
  "use strict";
  var INK = "#1b2430", BLUE = "#1f5fbf", GRID = "#e6e9ed", SOFT = "#8a93a0";

  function column(table, place) {
    return Array.prototype.map.call(table.tBodies[0].rows, function (row) {
      var cell = row.cells[place];
      var value = Number(cell.dataset.value);
      return Number.isFinite(value) ? value : null;
    });
  }

  function heading(table, place) { return table.tHead.rows[0].cells[place].textContent.trim(); }

  function axis(label) {
    return { label: label, labelSize: 22, labelFont: "13px sans-serif", font: "12px sans-serif", stroke: INK, grid: { stroke: GRID, width: 1 }, ticks: { stroke: GRID, width: 1 } };
  }

  function series(kind, label) {
    if (kind === "bars") { return { label: label, stroke: BLUE, fill: "#c9dbf5", width: 1, points: { show: false }, paths: uPlot.paths.bars({ size: [0.7, 60] }) }; }
    if (kind === "points") { return { label: label, stroke: BLUE, width: 1.5, points: { show: true, size: 8, fill: "#fff", stroke: BLUE, width: 2 } }; }
    return { label: label, stroke: BLUE, width: 2, points: { show: false } };
  }

  function draw(figure) {
    var table = figure.querySelector("table"), plot = figure.querySelector(".plot");
    var x = Number(figure.dataset.x), y = Number(figure.dataset.y), kind = figure.dataset.chart;
    var pairs = column(table, x).map(function (value, row) { return [value, row]; }).filter(function (each) { return each[0] !== null; });
    pairs.sort(function (a, b) { return a[0] - b[0]; });
    var values = column(table, y);
    var sets = [pairs.map(function (each) { return each[0]; }), pairs.map(function (each) { return values[each[1]]; })];
    var lines = [{}, series(kind, heading(table, y))];
    if (figure.dataset.diagonal) {
      sets.push(sets[0]);
      lines.push({ label: "", stroke: SOFT, width: 1, dash: [5, 5], points: { show: false } });
    }
    var width = Math.max(240, plot.clientWidth);
    var chart = new uPlot({
      width: width, height: Math.round(Math.min(300, width * 0.62)), legend: { show: false }, cursor: { show: false },
      scales: { x: { time: false, range: function (_u, low, high) { return kind === "bars" ? [low - 0.6, high + 0.6] : [low, high]; } }, y: { range: function (_u, low, high) { return [Math.min(0, low), high > 0 ? high * 1.06 : 1]; } } },
      axes: [axis(heading(table, x)), axis(heading(table, y))], series: lines
    }, sets, plot);
    plot.querySelector("canvas").setAttribute("aria-hidden", "true");
    window.addEventListener("resize", function () {
      var now = Math.max(240, plot.clientWidth);
      if (now !== chart.width) { chart.setSize({ width: now, height: Math.round(Math.min(300, now * 0.62)) }); }
    });
  }

  if (window.uPlot) { document.querySelectorAll("figure[data-chart]").forEach(draw); }
})();
