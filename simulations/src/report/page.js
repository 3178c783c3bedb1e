"use strict";
// Reads values off the drawings. Everything else works without it.
(() => {
  const SIDE = 1000;
  const steps = (path) => {
    // A path has only M x y, h dx, v dy and Z; what it says first of a place counts.
    const found = [];
    let x = 0, y = 0, done = false;
    for (const [, letter, words] of path.getAttribute("d").matchAll(/([MhvZ])([^MhvZ]*)/g)) {
      if (letter === "M") { [x, y] = words.split(" ").map(Number); done = false; }
      else if (letter === "v") y += Number(words);
      else if (letter === "h") {
        const dx = Number(words);
        if (dx < 0) done = true;
        if (!done) found.push([x, x + dx, y]);
        x += dx;
      }
    }
    return found;
  };
  const words = (value) => value >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
  for (const charts of document.querySelectorAll(".charts")) {
    let known = null;
    const read = () => known ??= [...charts.querySelectorAll("figure")].map((figure) => {
      const svg = figure.querySelector("svg.chart");
      const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
      cursor.setAttribute("class", "cursor");
      cursor.setAttribute("y1", "0");
      cursor.setAttribute("y2", "100%");
      svg.append(cursor);
      const note = figure.querySelector(".note");
      const series = [...svg.querySelectorAll("path[class]")].map((path) => {
        const name = path.getAttribute("class").slice(2);
        return { name, label: figure.querySelector(".l-" + name)?.textContent ?? name, steps: steps(path) };
      });
      return { svg, cursor, note, before: note?.textContent, series };
    });
    const show = (event) => {
      const box = event.currentTarget.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      for (const { svg, cursor, note, series } of read()) {
        cursor.setAttribute("x1", 100 * share + "%");
        cursor.setAttribute("x2", 100 * share + "%");
        cursor.classList.add("on");
        if (!note) continue;
        const top = Number(svg.dataset.top), low = Number(svg.dataset.low ?? 0);
        const texts = [];
        for (const { name, label, steps } of series) {
          const step = steps.find(([from, to]) => from <= share * SIDE && share * SIDE <= to);
          if (!step || name === "short") continue;
          const up = 1 - step[2] / SIDE;
          const end = name === "sum" ? Number(svg.dataset.right) : top;
          const value = low > 0 ? (up <= 0 ? 0 : low * (end / low) ** up) : up * end;
          texts.push((name === "band" ? "forecast 90 %" : label) + " " + words(value));
        }
        note.textContent = texts.length ? "≈ " + texts.join(" · ") : "nothing known here";
      }
    };
    const hide = () => {
      for (const { cursor, note, before } of known ?? []) {
        cursor.classList.remove("on");
        if (note) note.textContent = before;
      }
    };
    for (const svg of charts.querySelectorAll("svg.chart")) {
      svg.addEventListener("pointermove", show);
      svg.addEventListener("pointerdown", show);
      svg.addEventListener("pointerleave", hide);
      svg.addEventListener("pointercancel", hide);
    }
  }
})();
