"use strict";
(() => {
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const tip = document.getElementById("tip");
  const data = JSON.parse(document.getElementById("data").textContent);

  const number = (v) => {
    if (v === null || v === undefined) return "–";
    const a = Math.abs(v);
    if (a !== 0 && (a < 1e-3 || a >= 1e5)) return v.toExponential(2);
    return String(Number(v.toPrecision(4)));
  };

  const show = (parts, x, y) => {
    tip.replaceChildren(...parts);
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = x + 16 + box.width > innerWidth ? x - box.width - 16 : x + 16;
    tip.style.left = Math.max(4, Math.min(left, innerWidth - box.width - 4)) + "px";
    tip.style.top = Math.max(4, Math.min(y + 14, innerHeight - box.height - 4)) + "px";
  };
  const hide = () => { tip.hidden = true; };

  const line = (text, kind = "div") => {
    const made = document.createElement(kind);
    made.textContent = text;
    return made;
  };

  // Curves: the nearest step, and what every curve that is shown has there.
  const hidden = new Set();
  for (const svg of all("svg[data-chart]")) {
    const chart = data[svg.dataset.chart];
    const cursor = svg.querySelector(".cursor");
    const x0 = Number(svg.dataset.x0), x1 = Number(svg.dataset.x1);
    const first = Number(svg.dataset.first), last = chart.steps[chart.steps.length - 1];
    const at = (i) => x0 + (chart.steps[i] - first) / ((last - first) || 1) * (x1 - x0);
    let index = chart.steps.length - 1;
    const point = (i, x, y) => {
      index = i;
      cursor.setAttribute("x1", at(i));
      cursor.setAttribute("x2", at(i));
      const parts = [line("step " + chart.steps[i].toLocaleString("en"), "b")];
      const rows = chart.curves.filter((c) => !hidden.has(c[1]) && c[2][i] !== null);
      rows.sort((a, b) => b[2][i] - a[2][i]);
      for (const [label, series, middle, low, high, runs] of rows) {
        const row = line("");
        const dot = document.createElement("i");
        dot.style.background = `var(--c${series % 8})`;
        const band = runs > 1 ? ` (${number(low[i])} … ${number(high[i])})` : "";
        row.append(dot, `${label}: ${number(middle[i])}${band}`);
        parts.push(row);
      }
      show(parts, x, y);
    };
    const nearest = (event) => {
      const box = svg.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * Number(svg.dataset.width);
      let best = 0;
      chart.steps.forEach((_, i) => { if (Math.abs(at(i) - x) < Math.abs(at(best) - x)) best = i; });
      point(best, event.clientX, event.clientY);
    };
    const leave = () => { cursor.setAttribute("x1", -9); cursor.setAttribute("x2", -9); hide(); };
    svg.addEventListener("pointermove", nearest);
    svg.addEventListener("pointerdown", nearest);
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("blur", leave);
    svg.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 }[event.key];
      if (event.key === "Escape") leave();
      if (move === undefined) return;
      event.preventDefault();
      const i = Math.max(0, Math.min(chart.steps.length - 1, index + move));
      const box = svg.getBoundingClientRect();
      point(i, box.left + at(i) / Number(svg.dataset.width) * box.width, box.top + 30);
    });
  }

  // The legend takes curves out of every figure, and puts them back.
  for (const button of all("button[data-series]")) {
    button.addEventListener("click", () => {
      const series = Number(button.dataset.series);
      const off = !hidden.delete(series);
      if (off) hidden.add(series);
      button.setAttribute("aria-pressed", String(!off));
      all(`svg[data-chart] .s${series}`).forEach((e) => e.classList.toggle("off", off));
    });
  }

  // Figures whose parts have something to say: by pointer, or by arrow keys one after the other.
  for (const svg of all("svg.tips")) {
    const parts = all("[data-tip]", svg);
    let index = -1;
    const clear = () => { parts.forEach((p) => p.classList.remove("on")); hide(); };
    const tell = (part, x, y) => {
      clear();
      part.classList.add("on");
      show([line(part.dataset.tip)], x, y);
    };
    for (const part of parts) {
      part.addEventListener("pointermove", (event) => tell(part, event.clientX, event.clientY));
      part.addEventListener("pointerleave", clear);
    }
    svg.addEventListener("blur", clear);
    svg.addEventListener("keydown", (event) => {
      const move = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 }[event.key];
      if (event.key === "Escape") clear();
      if (move === undefined) return;
      event.preventDefault();
      index = (index + move + parts.length) % parts.length;
      const box = parts[index].getBoundingClientRect();
      tell(parts[index], box.left + box.width / 3, box.top + box.height / 2);
    });
  }

  // Light, dark, or as the system has it; remembered where the browser allows it.
  const theme = document.getElementById("theme");
  const themes = ["auto", "light", "dark"];
  const remember = (value) => {
    try {
      if (value) localStorage.setItem("rlexp-theme", value);
      return localStorage.getItem("rlexp-theme");
    } catch { return null; }
  };
  const paint = (value) => {
    if (value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = value;
    theme.textContent = "Theme: " + value;
  };
  let current = themes.includes(remember()) ? remember() : "auto";
  paint(current);
  theme.hidden = false;
  theme.addEventListener("click", () => {
    current = themes[(themes.indexOf(current) + 1) % 3];
    remember(current);
    paint(current);
  });

  // A GIF can't be stopped, but a still picture can stand in for it.
  const pause = document.getElementById("pause");
  if (pause) {
    const stills = new Map();
    const stop = (stopped) => {
      for (const img of all(".game img")) {
        if (stopped && !stills.has(img) && img.complete && img.naturalWidth) {
          const still = document.createElement("canvas");
          still.width = img.naturalWidth;
          still.height = img.naturalHeight;
          still.className = img.className;
          still.setAttribute("role", "img");
          still.setAttribute("aria-label", img.alt);
          still.getContext("2d").drawImage(img, 0, 0);
          img.after(still);
          stills.set(img, still);
        }
        if (stills.has(img)) {
          img.hidden = stopped;
          img.style.display = stopped ? "none" : "";
          stills.get(img).style.display = stopped ? "" : "none";
        }
      }
      pause.textContent = stopped ? "Play" : "Pause";
      pause.setAttribute("aria-pressed", String(stopped));
    };
    pause.hidden = false;
    pause.addEventListener("click", () => stop(pause.getAttribute("aria-pressed") !== "true"));
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) addEventListener("load", () => stop(true));
  }
  addEventListener("scroll", hide, { passive: true });
})();
