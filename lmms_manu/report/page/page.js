const read = (id) => JSON.parse(document.getElementById(id).textContent);
const library = (name) =>
  import(URL.createObjectURL(new Blob([document.getElementById(`library-${name}`).textContent], { type: "text/javascript" })));
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const index = read("index");
const page = document.documentElement;

// Light and dark: the system's choice until the reader makes one.
const system = matchMedia("(prefers-color-scheme: dark)");
const themeButton = document.getElementById("theme");
let chosenTheme = null;

function applyTheme() {
  const dark = chosenTheme === null ? system.matches : chosenTheme;
  page.classList.toggle("dark", dark);
  page.style.colorScheme = dark ? "dark" : "light";
  themeButton.setAttribute("aria-pressed", String(dark));
  themeButton.textContent = `Dark mode: ${dark ? "on" : "off"}`;
  return drawPlots();
}

themeButton.addEventListener("click", () => {
  chosenTheme = !page.classList.contains("dark");
  applyTheme();
});
system.addEventListener("change", applyTheme);

// Plots are drawn when they come near the screen, and again in the other theme.
const drawn = new Map();
const nearby = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target.id)),
  { rootMargin: "400px" },
);
let vegaLoaded = null;

function drawingFor(id) {
  const width = document.getElementById(id).clientWidth;
  const { drawings } = index.plots[id];
  return drawings.findLast((drawing) => drawing.width <= width * 1.25) ?? drawings[0];
}

// All drawings of a plot show the same numbers, which stand in the page once.
function specificationOf(id, drawing) {
  const { data } = index.plots[id];
  return data ? { ...drawing.specification, data } : drawing.specification;
}

function configFor(colours) {
  const [ink, line, background] = colours;
  return {
    background,
    font: "system-ui, sans-serif",
    axis: { labelColor: ink, titleColor: ink, gridColor: line, domainColor: line, tickColor: line },
    header: { labelColor: ink },
    legend: { labelColor: ink, titleColor: ink, columns: 2 },
    view: { stroke: line },
    text: { fill: ink },
    rule: { color: ink },
  };
}

async function draw(id) {
  const theme = page.classList.contains("dark") ? "dark" : "light";
  const drawing = drawingFor(id);
  const wanted = `${theme} ${drawing.width}`;
  if (drawn.get(id) === wanted) return;
  drawn.set(id, wanted);
  vegaLoaded ??= library("vega");
  await vegaLoaded;
  const style = getComputedStyle(page);
  const config = configFor([...["--ink", "--line"].map((name) => style.getPropertyValue(name).trim()), null]);
  const place = document.getElementById(id);
  place.classList.toggle("fixed", drawing.width > 0);
  if (drawing.width === 0) config.legend.columns = place.clientWidth < 420 ? 1 : 2;
  await window.vegaEmbed(`#${id}`, specificationOf(id, drawing), { renderer: "svg", actions: false, tooltip: { theme }, config });
  land();
}

// Saved figures are drawn anew: light, on white, as wide as they are made for.
const SAVED_WIDTH = 640;

async function save(id, kind) {
  vegaLoaded ??= library("vega");
  await vegaLoaded;
  const drawing = index.plots[id].drawings.at(-1);
  const specification = specificationOf(id, drawing);
  const sized = drawing.width === 0 ? { ...specification, width: SAVED_WIDTH } : specification;
  const config = configFor(["#1c2530", "#d5dbe2", "#ffffff"]);
  const { view } = await window.vegaEmbed(document.createElement("div"), sized, { renderer: "none", actions: false, config });
  const address =
    kind === "png"
      ? await view.toImageURL("png", 2)
      : URL.createObjectURL(new Blob([await view.toSVG()], { type: "image/svg+xml" }));
  make("a", { href: address, download: `${id}.${kind}` }).click();
}

document.querySelectorAll(".save button").forEach((button) =>
  button.addEventListener("click", () => save(button.dataset.plot, button.dataset.kind)),
);

// A link's target stays where the reader was sent while plots above it grow, until the reader moves on.
let target = null;

function land() {
  target?.scrollIntoView({ block: "start", behavior: "instant" });
}

function aim(element) {
  target = element;
  land();
}

for (const moved of ["wheel", "touchmove", "keydown", "pointerdown"]) {
  addEventListener(moved, () => (target = null), { passive: true, capture: true });
}
document.addEventListener("click", (event) => {
  const address = event.target.closest?.("a[href^='#']")?.getAttribute("href").slice(1);
  const element = address && document.getElementById(address);
  if (element) setTimeout(() => aim(element));
});

function drawPlots() {
  return Promise.all([...drawn.keys()].map(draw));
}

const places = document.querySelectorAll(".plot");
places.forEach((place) => nearby.observe(place));
addEventListener("resize", drawPlots);
addEventListener("beforeprint", () => places.forEach((place) => draw(place.id)));

// Views: mean of both modalities, with the picture, text only.
document.querySelectorAll(".views input").forEach((input) =>
  input.addEventListener("change", () => {
    const section = input.name.replace("view-", "");
    document.querySelectorAll(".view").forEach((view) => {
      if (view.dataset.section === section) view.hidden = view.dataset.view !== input.value;
    });
  }),
);

applyTheme();

// Tables that sort.
const { jQuery } = await library("datatables");
const DataTable = jQuery.fn.dataTable;
const layout = { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null };
const bare = { paging: false, searching: false, info: false, order: [], autoWidth: false, layout };
document.querySelectorAll("table.sortable").forEach((table) => new DataTable(table, bare));

// What is wider than its place says so.
const sizes = new ResizeObserver((entries) =>
  entries.forEach(({ target }) => target.classList.toggle("wide", target.scrollWidth > target.clientWidth + 1)),
);
document.querySelectorAll(".scroll").forEach((place) => {
  place.before(make("p", { className: "hint", ariaHidden: "true" }, "More columns: scroll sideways →"));
  sizes.observe(place);
});

// Questions: every text is set as text, never as HTML.
const selection = document.getElementById("selection");
const filter = document.getElementById("filter");
const boxes = [...document.querySelectorAll("#shown input")];
const tasks = new Map();
let pictures = null;
let answers = null;

function task(name) {
  if (!tasks.has(name)) tasks.set(name, read(`task-${name}`));
  return tasks.get(name);
}

function shownRuns() {
  return boxes.filter((box) => box.checked).map((box) => box.value);
}

function rowsOf(chosen, runs) {
  return chosen.tasks.flatMap((name) => {
    const data = task(name);
    const columns = runs.map((run) => data.runs[run]);
    const metric = data.metrics.indexOf(chosen.metric);
    return data.question.map((question, place) => ({
      person: data.person[place],
      task: name,
      question,
      target: data.target[place],
      picture: data.picture[place],
      answers: columns.map((column) => {
        const [response, ...scores] = data.answers[place][column?.[place]] ?? [null];
        return { response, score: scores[metric] ?? null };
      }),
    }));
  });
}

const KEPT = {
  all: () => true,
  changed: (row) => row.answers.some((answer) => answer.response !== row.answers[0].response),
  worse: (row) => row.answers.some((answer) => answer.score !== null && answer.score < row.answers[0].score),
  better: (row) =>
    row.answers.some((answer) => row.answers[0].score !== null && answer.score > row.answers[0].score),
};

function textOf(answer) {
  return answer.response === null ? "not asked" : answer.response || "(empty)";
}

function mark(answer, { isRightOrWrong, factor }) {
  if (answer.score === null) return "";
  if (!isRightOrWrong) return make("span", { className: "score" }, (factor * answer.score).toFixed(1));
  const right = answer.score > 0;
  return make("span", { className: `score ${right ? "right" : "wrong"}` }, right ? "✓ right" : "✗ wrong");
}

function questionCell(row) {
  const parts = [row.question];
  if (pictures[row.picture]) parts.unshift(make("img", { src: pictures[row.picture], alt: `picture of person ${row.person}`, loading: "lazy" }));
  return make("div", {}, ...parts);
}

function columnsFor(chosen, runs) {
  const text = (title, value, cell, width) => ({
    title,
    width,
    type: "string",
    data: null,
    render: (_, kind, row) => (kind === "display" ? (cell ?? ((one) => make("div", {}, value(one))))(row) : value(row).toLowerCase()),
    createdCell: (element) => element.setAttribute("data-label", title),
  });
  return [
    text("Person", (row) => row.person, undefined, "7.5rem"),
    text("Question", (row) => row.question, questionCell),
    text("Target", (row) => row.target),
    ...runs.map((run, place) => ({
      ...text(run, (row) => textOf(row.answers[place]), (row) =>
        make("div", {}, mark(row.answers[place], chosen), textOf(row.answers[place])),
      ),
    })),
  ];
}

function escaped(text) {
  return make("span", {}, text).innerHTML;
}

function showQuestions() {
  const chosen = index.selections.find((entry) => entry.id === selection.value);
  const runs = shownRuns();
  pictures ??= read("pictures");
  const rows = rowsOf(chosen, runs);
  const kept = rows.filter((row) => runs.length === 0 || KEPT[filter.value](row));
  document.getElementById("count").textContent = `${kept.length} of ${rows.length} questions`;
  answers?.destroy(true);
  const table = make("table");
  document.getElementById("answers").replaceChildren(table);
  // DataTables takes titles as HTML.
  const columns = columnsFor(chosen, runs).map((column) => ({ ...column, title: escaped(column.title) }));
  answers = new DataTable(table, {
    data: kept,
    columns,
    order: [],
    autoWidth: false,
    pageLength: 25,
    lengthMenu: [10, 25, 100],
    deferRender: true,
    language: { search: "Search in the texts", emptyTable: "No question is left." },
  });
}

function followAddress() {
  const [place, ...parts] = location.hash.slice(1).split("/").map(decodeURIComponent);
  if (place !== "questions" || parts.length === 0 || !selection) return;
  const run = parts.pop();
  const id = parts.join("/");
  if (!index.selections.some((entry) => entry.id === id)) return;
  selection.value = id;
  filter.value = "all";
  const wanted = new Set([index.baseline, run]);
  boxes.forEach((box) => (box.checked = wanted.has(box.value)));
  showQuestions();
  document.getElementById("questions-title").focus();
  aim(document.getElementById("questions"));
}

if (selection) {
  for (const control of [selection, filter, ...boxes]) control.addEventListener("change", showQuestions);
  addEventListener("hashchange", followAddress);
  showQuestions();
  followAddress();
}
if (location.hash && document.getElementById(location.hash.slice(1))) aim(document.getElementById(location.hash.slice(1)));
page.dataset.ready = "true";

// A printer does not wait for a library to be read.
if (places.length > 0) vegaLoaded ??= library("vega");
