"use strict";
(() => {
  const PAGE = 100, PRINTED = 500;
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const { words, titles } = data;
  // A row: number, ICCID, MSISDN, then places in `words`: outcome, category, state, reason; then the time.
  const CODED = new Set([3, 4, 5, 6]);
  const cell = (row, column) => (CODED.has(column) ? words[row[column]] : row[column]) ?? "";
  const rows = data.rows;
  const texts = rows.map((row) => titles.map((_, i) => cell(row, i)).join("\n").toLowerCase());
  const state = { text: "", outcomes: new Set(), category: "", sort: null, down: false, page: 0, shown: PAGE };
  let found = rows.map((_, i) => i);

  const number = (n) => n.toLocaleString("en-US");

  function dot(outcome) {
    const svg = $("dot").content.firstElementChild.cloneNode(true);
    svg.firstElementChild.setAttribute("class", "c-" + outcome);
    return svg;
  }

  function line(row) {
    const tr = document.createElement("tr");
    titles.forEach((title, column) => {
      const td = document.createElement("td");
      const text = cell(row, column);
      td.dataset.label = title;
      if (column === 3) {
        const span = document.createElement("span");
        span.className = "dot";
        span.append(dot(text), text);
        td.append(span);
      } else {
        td.className = data.classes[column];
        td.textContent = text;
      }
      tr.append(td);
    });
    return tr;
  }

  function draw() {
    const pages = Math.max(1, Math.ceil(found.length / state.shown));
    state.page = Math.min(state.page, pages - 1);
    const start = state.page * state.shown;
    const part = found.slice(start, start + state.shown);
    $("body").replaceChildren(...part.map((i) => line(rows[i])));
    const range = part.length ? `${number(start + 1)} to ${number(start + part.length)} of ` : "";
    const all = found.length === rows.length ? "" : ` that match, out of ${number(rows.length)}`;
    $("where").textContent = `${range}${number(found.length)} devices${all}`;
    $("back").disabled = state.page === 0;
    $("on").disabled = state.page >= pages - 1;
  }

  function find() {
    const wanted = state.text.trim().toLowerCase().split(/\s+/).filter(Boolean);
    found = [];
    rows.forEach((row, i) => {
      if (state.outcomes.size && !state.outcomes.has(cell(row, 3))) return;
      if (state.category && cell(row, 4) !== state.category) return;
      if (wanted.every((word) => texts[i].includes(word))) found.push(i);
    });
    if (state.sort !== null) {
      const by = state.sort, sign = state.down ? -1 : 1;
      const key = (i) => (by === 0 ? Number(rows[i][0]) : cell(rows[i], by));
      // What has no value stands last, whichever way the others go.
      found.sort((a, b) => {
        const x = key(a), y = key(b);
        if (x === y) return a - b;
        if (x === "") return 1;
        if (y === "") return -1;
        return x < y ? -sign : sign;
      });
    }
    state.page = 0;
    draw();
  }

  let waiting = 0;
  $("text").addEventListener("input", (event) => {
    state.text = event.target.value;
    clearTimeout(waiting);
    waiting = setTimeout(find, rows.length > 20000 ? 250 : 60);
  });
  $("category").addEventListener("change", (event) => {
    state.category = event.target.value;
    find();
  });
  for (const chip of document.querySelectorAll(".chips button")) {
    chip.addEventListener("click", () => {
      const on = chip.getAttribute("aria-pressed") !== "true";
      chip.setAttribute("aria-pressed", on);
      state.outcomes[on ? "add" : "delete"](chip.dataset.outcome);
      find();
    });
  }
  const headings = [];
  document.querySelectorAll("#devices th").forEach((th, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = th.textContent;
    th.replaceChildren(button);
    headings.push([th, button]);
    button.addEventListener("click", () => {
      state.down = state.sort === column && !state.down;
      state.sort = column;
      document.querySelectorAll("#devices th").forEach((each) => each.removeAttribute("aria-sort"));
      th.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      find();
    });
  });
  $("back").addEventListener("click", () => { state.page -= 1; draw(); });
  $("on").addEventListener("click", () => { state.page += 1; draw(); });
  addEventListener("beforeprint", () => {
    // Chromium repeats a heading on every page only where no button stands in it.
    for (const [th, button] of headings) th.textContent = button.textContent;
    Object.assign(state, { shown: PRINTED, page: 0 });
    draw();
  });
  addEventListener("afterprint", () => {
    for (const [th, button] of headings) th.replaceChildren(button);
    state.shown = PAGE;
    draw();
  });
  for (const part of document.querySelectorAll(".live")) part.hidden = false;
  draw();
})();
