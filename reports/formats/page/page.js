"use strict";
// What a page does: switches who chose the trials, sorts tables, shows what stands behind a number, loads itself again.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// --- who chose ---

const choice = document.getElementById("choice");

function choose() {
  for (const variants of all(".variants")) {
    const named = [...variants.children];
    const shown = named.find((one) => one.dataset.choice === choice.value) ?? named[0];
    for (const one of named) one.hidden = one !== shown;
  }
  document.getElementById("meaning").textContent = choice.selectedOptions[0].dataset.meaning;
}

choice.form.hidden = false;
choice.addEventListener("change", choose);
choice.form.addEventListener("submit", (event) => event.preventDefault());

// --- sorting: numbers by size, the largest first; what is no number, last ---

function sort(header) {
  const body = header.closest("table").tBodies[0];
  const numeric = header.classList.contains("n");
  const was = header.getAttribute("aria-sort");
  const descending = was ? was === "ascending" : numeric;
  const text = (row) => row.cells[header.cellIndex].innerText.trim();
  const number = (row) => Number.parseFloat(text(row).replace("−", "-"));
  const order = (a, b) => {
    if (!numeric) return (descending ? -1 : 1) * text(a).localeCompare(text(b), "en", { numeric: true });
    const [x, y] = [number(a), number(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return descending ? y - x : x - y;
  };
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  body.append(...[...body.rows].sort(order));
}

document.addEventListener("click", (event) => {
  const header = event.target.closest("thead th");
  if (header && event.target.closest("button")) sort(header);
});

// --- what stands behind a number ---

const details = document.getElementById("details");
let asked = null;

function hide() {
  asked?.removeAttribute("aria-describedby");
  asked = null;
  details.hidden = true;
}

function show(button) {
  hide();
  if (!button) return;
  asked = button;
  button.setAttribute("aria-describedby", details.id);
  details.textContent = button.dataset.details;
  details.hidden = false;
  const at = button.getBoundingClientRect();
  const left = Math.min(at.left, document.documentElement.clientWidth - details.offsetWidth - 8);
  const below = at.bottom + details.offsetHeight + 8 < window.innerHeight;
  details.style.left = `${Math.max(8, left)}px`;
  details.style.top = `${below ? at.bottom + 4 : at.top - details.offsetHeight - 4}px`;
}

const about = (event) => event.target.closest?.("[data-details]");
document.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse") show(about(event)); });
document.addEventListener("focusin", (event) => show(about(event)));
document.addEventListener("click", (event) => show(about(event)));
document.addEventListener("scroll", hide, { capture: true, passive: true });

// One number of a table is in the order of the Tab key; the arrow keys go on from there.
const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

for (const table of all("table")) all("[data-details]", table).forEach((one, i) => { one.tabIndex = i ? -1 : 0; });

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hide();
  const step = steps[event.key];
  const button = step && about(event);
  if (!button) return;
  event.preventDefault();
  const cell = button.closest("td");
  const rows = [...cell.closest("table").rows];
  let [row, column] = [rows.indexOf(cell.parentElement), cell.cellIndex];
  let next = null;
  do {
    [row, column] = [row + step[0], column + step[1]];
    next = rows[row]?.cells[column];
  } while (next && !next.querySelector("[data-details]"));
  const other = next?.querySelector("[data-details]");
  if (!other) return;
  button.tabIndex = -1;
  other.tabIndex = 0;
  other.focus();
});

// --- paper shows everything ---

let closed = [];
window.addEventListener("beforeprint", () => {
  closed = all("details:not([open])");
  for (const one of closed) one.open = true;
});
window.addEventListener("afterprint", () => { for (const one of closed) one.open = false; });

// --- while the sweep runs ---

const memory = `report ${document.title}`;
const live = document.getElementById("live");

try {
  const before = JSON.parse(sessionStorage.getItem(memory)) ?? {};
  if (all("option", choice).some((one) => one.value === before.choice)) choice.value = before.choice;
  all("details").forEach((one, i) => { one.open = before.open?.[i] ?? false; });
  if (live) live.checked = before.live ?? true;
} catch { /* a browser that remembers nothing */ }

window.addEventListener("pagehide", () => {
  const now = { choice: choice.value, open: all("details").map((one) => one.open), live: live?.checked };
  try { sessionStorage.setItem(memory, JSON.stringify(now)); } catch { /* as above */ }
});

if (live) setInterval(() => { if (live.checked) location.reload(); }, 1000 * document.body.dataset.refresh);
choose();
