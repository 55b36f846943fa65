// The parts that the sections of the page share: elements, controls, bars, heatmaps, charts and questions.
"use strict";

const PLAY = {};

/** Create an element: el("p", {class: "note"}, "text", child, ...). Properties that are functions are listeners. */
PLAY.el = (name, properties = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== false && value !== null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
};

/** The same for SVG. */
PLAY.svg = (name, properties = {}, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(properties)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

/** A number for people: three significant digits, without a sign at zero, and with a real minus. */
PLAY.number = (x, digits = 3) => {
  if (x === 0) return "0";
  if (Number.isNaN(x)) return "undefined";
  const size = Math.abs(x);
  if (size === Infinity) return x < 0 ? "−∞" : "∞";
  if (size < 1e5 && size >= 1e-3) return String(Number(x.toPrecision(digits))).replace("-", "−");
  const [mantissa, exponent] = x.toExponential(1).replace(".0", "").replace("+", "").split("e");
  const raised = [...exponent].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign])).join("");
  return `${mantissa}·10${raised}`.replace("-", "−").replace(/^(−?)1·/, "$1");
};

/** A number with two decimals, for columns; a very large one as PLAY.number writes it. */
PLAY.decimals = (x) => {
  if (!(Math.abs(x) < 1e5)) return PLAY.number(x);
  return (Math.round(100 * x) / 100 || 0).toFixed(2).replace("-", "−"); // || 0: no sign at zero
};

/**
 * A slider with a field for exact values between `least` and `most`, also where the slider ends. A field without such a
 * number is marked, and the slider counts. Calls changed() after every change; `value` reads it.
 */
PLAY.slider = (label, { low, high, step, value, least = -1e6, most = 1e6 }, changed) => {
  const range = PLAY.el("input", { type: "range", min: low, max: high, step, value, "aria-label": label });
  const field = PLAY.el("input", { type: "number", step: "any", value, "aria-label": `${label}, exact value` });
  const valid = () => field.valueAsNumber >= least && field.valueAsNumber <= most;
  const set = (given) => {
    range.value = given;
    field.value = given;
    field.setAttribute("aria-invalid", "false");
  };
  range.addEventListener("input", () => (set(range.value), changed()));
  field.addEventListener("input", () => {
    field.setAttribute("aria-invalid", String(!valid()));
    if (valid()) range.value = field.value;
    changed();
  });
  return {
    element: PLAY.el("div", { class: "slider" }, PLAY.el("span", {}, label), range, field),
    set,
    valid,
    get value() {
      return valid() ? field.valueAsNumber : Number(range.value);
    },
  };
};

/** A labelled menu: each option begins with its value and its text. */
PLAY.menu = (label, options, changed) => {
  const select = PLAY.el("select", { change: changed });
  const offer = (given) => select.replaceChildren(...given.map(([value, text]) => PLAY.el("option", { value }, text)));
  offer(options);
  return { element: PLAY.el("label", { class: "menu" }, `${label} `, select), select, offer };
};

PLAY.button = (text, pressed) => PLAY.el("button", { type: "button", click: pressed }, text);

/** A row of radio buttons, the first of which is chosen; `value` reads which one is. */
PLAY.choice = (label, name, options, changed) => {
  const inputs = options.map(([value], k) =>
    PLAY.el("input", { type: "radio", name, value, checked: k === 0, change: changed }),
  );
  const labels = options.map(([, text], k) => PLAY.el("label", {}, inputs[k], ` ${text}`));
  return {
    element: PLAY.el("fieldset", { class: "choice" }, PLAY.el("legend", {}, label), ...labels),
    get value() {
      return inputs.find((input) => input.checked).value;
    },
    set: (value) => inputs.forEach((input) => (input.checked = input.value === value)),
  };
};

/** A table: a caption, the heads of its columns, and rows of a row's head and its cells, text or elements. */
PLAY.table = (kind, caption, columns, rows, sums = []) => {
  const row = ([head, ...cells]) =>
    PLAY.el(
      "tr",
      {},
      PLAY.el("th", { scope: "row" }, head),
      ...cells.map((cell) => PLAY.el("td", { class: "number" }, cell)),
    );
  const heads = columns.map((said) => PLAY.el("th", { scope: "col" }, said));
  return PLAY.el(
    "table",
    { class: kind },
    PLAY.el("caption", {}, ...[caption].flat()),
    PLAY.el("thead", {}, PLAY.el("tr", {}, ...heads)),
    PLAY.el("tbody", {}, ...rows.map(row)),
    PLAY.el("tfoot", {}, ...sums.map(row)),
  );
};

/**
 * A table of signed bars: rows of {label, value, kind}, in which each bar starts at the middle and `kind` names its
 * colour: "for" and "against" by its sign unless another one is given. The number stands beside every bar.
 */
PLAY.bars = (caption, rows, scale = null) => {
  const largest = scale ?? (Math.max(...rows.map(({ value }) => Math.abs(value))) || 1);
  const bar = ({ value, kind }) => {
    const length = Math.min(Math.abs(value) / largest, 1) * 50;
    const colour = kind ?? (value < 0 ? "against" : "for");
    const style = `width:${length}%;left:${value < 0 ? 50 - length : 50}%`;
    return PLAY.el("span", { class: "track" }, PLAY.el("span", { class: `bar ${colour}`, style }));
  };
  return PLAY.el(
    "table",
    { class: "bars" },
    PLAY.el("caption", {}, caption),
    PLAY.el(
      "tbody",
      {},
      ...rows.map((row) =>
        PLAY.el(
          "tr",
          { class: row.rule ? "sum" : "" },
          PLAY.el("th", { scope: "row" }, row.label),
          PLAY.el("td", { class: "drawn", "aria-hidden": "true" }, bar(row)),
          PLAY.el("td", { class: "number" }, PLAY.number(row.value)),
        ),
      ),
    ),
  );
};

/** The books of a trace as bars: what started, what reached the input, and what was lost on the way. */
PLAY.ledger = (caption, entries, start, arrived) => {
  const lost = (name) => entries.reduce((total, entry) => total + entry[name], 0);
  const residual = start - arrived - lost("bias") - lost("stabilizer") - lost("dropped") - lost("factor");
  const factor = { label: "factor", value: lost("factor"), kind: "factor" }; // of Relative LRP alone
  return PLAY.bars(caption, [
    { label: "at the output", value: start, kind: "plain" },
    { label: "at the input", value: arrived },
    { label: "biases", value: lost("bias"), kind: "bias" },
    { label: "stabilizers", value: lost("stabilizer"), kind: "stabilizer" },
    { label: "dropped", value: lost("dropped"), kind: "dropped" },
    ...(factor.value === 0 ? [] : [factor]),
    { label: "residual", value: residual, kind: "plain", rule: true },
  ]);
};

/** What compute() gives; null, with a warning in the element, where lrp.js lacks what the network needs for a rule. */
PLAY.offered = (warning, compute) => {
  warning.textContent = "";
  try {
    return compute();
  } catch (error) {
    if (!(error instanceof LRP.NotOffered)) throw error;
    warning.textContent = `This rule cannot be used here: lrp.js does not offer ${error.message}.`;
    return null;
  }
};

// ---- heatmaps ------------------------------------------------------------------------------------------------------

PLAY.dark = window.matchMedia("screen and (prefers-color-scheme: dark)"); // paper is light

// From no relevance to all of it: red is evidence for, blue evidence against, told apart by the colour-blind.
const SCALES = {
  light: {
    zero: [250, 250, 250],
    for: [
      [244, 165, 130],
      [178, 24, 43],
    ],
    against: [
      [146, 197, 222],
      [33, 102, 172],
    ],
  },
  dark: {
    zero: [22, 24, 28],
    for: [
      [188, 78, 58],
      [255, 166, 138],
    ],
    against: [
      [50, 110, 176],
      [140, 202, 255],
    ],
  },
};

/** The colour of a value from -1 to 1. */
PLAY.colour = (t) => {
  const scale = SCALES[PLAY.dark.matches ? "dark" : "light"];
  const stops = [scale.zero, ...(t < 0 ? scale.against : scale.for)];
  const place = Math.min(Math.abs(t), 1) * 2;
  const k = Math.min(Math.floor(place), 1);
  return stops[k].map((x, n) => Math.round(x + (stops[k + 1][n] - x) * (place - k)));
};

/** Draw colours, one [r, g, b] per cell, on a canvas of H x W cells. */
PLAY.paint = (canvas, [H, W], colourOf) => {
  canvas.width = W;
  canvas.height = H;
  const image = new ImageData(W, H);
  for (let p = 0; p < H * W; p++) image.data.set([...colourOf(p), 255], 4 * p);
  canvas.getContext("2d").putImageData(image, 0, 0);
};

/** The relevance of each pixel: summed over the channels. */
PLAY.perPixel = ({ shape: [C, H, W], data }) =>
  Float64Array.from({ length: H * W }, (_, p) => {
    let total = 0;
    for (let c = 0; c < C; c++) total += data[c * H * W + p];
    return total;
  });

/** A heatmap: a figure whose show(R) draws an array of relevance and says in words what it holds. */
PLAY.heatmap = (title) => {
  const canvas = PLAY.el("canvas", { class: "map", role: "img" });
  const legend = PLAY.el("canvas", { class: "legend", "aria-hidden": "true" });
  const ends = PLAY.el("div", { class: "ends" });
  const words = PLAY.el("figcaption");
  const element = PLAY.el("figure", {}, canvas, legend, ends, words);
  let drawn = null;
  const show = (R, note = "", limit = null) => {
    drawn = [R, note, limit];
    const pixels = PLAY.perPixel(R);
    const top = limit ?? pixels.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    PLAY.paint(canvas, R.shape.slice(1), (p) => PLAY.colour(top ? pixels[p] / top : 0));
    PLAY.paint(legend, [1, 101], (p) => PLAY.colour((p - 50) / 50));
    const said = PLAY.number(top, 2);
    const marks = top ? [`−${said} against`, "0", `for +${said}`] : ["0 everywhere"];
    ends.replaceChildren(...marks.map((text) => PLAY.el("span", {}, text)));
    const sum = PLAY.number(LRP.sum(pixels));
    words.replaceChildren(PLAY.el("strong", {}, title), ` sum ${sum}${note && `; ${note}`}`);
    canvas.setAttribute("aria-label", `${title}: heatmap with the sum ${sum}, from −${said} to ${said}`);
  };
  PLAY.dark.addEventListener("change", () => drawn && show(...drawn));
  return { element, canvas, show };
};

// ---- charts --------------------------------------------------------------------------------------------------------

/**
 * A chart of lines: series of {label, points: [[x, y], ...]}, drawn within the given bounds; `mark` is an x. Lines
 * differ in dash as well as in colour, and a legend names them.
 */
PLAY.chart = (label, series, { x: [x0, x1], y: [y0, y1], xName, yName, mark = null }) => {
  const W = window.matchMedia("(max-width: 34rem)").matches ? 380 : 680; // so that letters keep their size
  const [H, left, bottom, top, right] = [250, 48, 38, 26, 14];
  const px = (x) => left + ((x - x0) / (x1 - x0 || 1)) * (W - left - right);
  const py = (y) => H - bottom - ((y - y0) / (y1 - y0 || 1)) * (H - bottom - top);
  const chart = PLAY.svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": label });
  const text = (x, y, said, anchor = "middle") => {
    const made = PLAY.svg("text", { x, y, "text-anchor": anchor });
    made.textContent = said;
    chart.append(made);
  };
  const line = (from, to, kind) =>
    chart.append(PLAY.svg("line", { x1: from[0], y1: from[1], x2: to[0], y2: to[1], class: kind }));
  for (const y of [y0, (y0 + y1) / 2, y1]) {
    line([left, py(y)], [W - right, py(y)], "grid");
    text(left - 6, py(y) + 4, PLAY.number(y), "end");
  }
  for (const x of [x0, (x0 + x1) / 2, x1]) text(px(x), H - bottom + 17, PLAY.number(x));
  text((left + W - right) / 2, H - 4, xName);
  text(left, 14, yName, "start");
  if (mark !== null) line([px(mark), top], [px(mark), H - bottom], "mark");
  series.forEach(({ points }, k) => {
    // a break wherever a line leaves the picture, so that a pole does not look like a wall
    let pen = "M";
    const path = points.map(([x, y]) => {
      const inside = y >= y0 && y <= y1;
      const step = inside ? `${pen}${px(x).toFixed(1)},${py(y).toFixed(1)}` : "";
      pen = inside ? "L" : "M";
      return step;
    });
    chart.append(PLAY.svg("path", { d: path.join(" "), class: `line line-${k}` }));
  });
  const sample = (k) =>
    PLAY.svg(
      "svg",
      { viewBox: "0 0 30 10", class: "sample", "aria-hidden": "true" },
      PLAY.svg("path", { d: "M0,5 L30,5", class: `line line-${k}` }),
    );
  const legend = series.map(({ label: name }, k) => PLAY.el("span", {}, sample(k), ` ${name}`));
  return PLAY.el("div", { class: "chart" }, chart, PLAY.el("p", { class: "key" }, ...legend));
};

// ---- questions -----------------------------------------------------------------------------------------------------

/** "Predict first": the answer shows once a radio button is chosen; the right one has data-right. */
PLAY.questions = () => {
  for (const question of document.querySelectorAll(".predict")) {
    const answer = question.querySelector(".answer");
    const verdict = PLAY.el("strong");
    answer.prepend(verdict, " ");
    question.addEventListener("change", (event) => {
      if (event.target.type !== "radio") return;
      verdict.textContent = event.target.hasAttribute("data-right") ? "Yes." : "Look again.";
      answer.hidden = false;
    });
  }
};
