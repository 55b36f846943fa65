// Draw a digit: live logits, the map of any rule and target, one class rather than another, and a rubbed-out stroke.
"use strict";

/** The rules that the page offers: what the menu says, and what LRP.assign takes. */
PLAY.RULES = [
  ["epsilon-plus-flat", "epsilon-plus-flat (a preset)", "epsilon-plus-flat"],
  ["epsilon-plus", "epsilon-plus (a preset)", "epsilon-plus"],
  ["epsilon-gamma-box", "epsilon-gamma-box (a preset)", "epsilon-gamma-box"],
  ["epsilon-alpha2-beta1", "epsilon-alpha2-beta1 (a preset)", "epsilon-alpha2-beta1"],
  ["zero", "LRP-0 on all layers", { type: "Zero" }],
  ["epsilon", "LRP-ε, ε = 0.25", { type: "Epsilon", epsilon: 0.25 }],
  ["gamma", "LRP-γ, γ = 0.25", { type: "Gamma", gamma: 0.25 }],
  ["alpha-beta", "LRP-αβ, α = 2, β = 1", { type: "AlphaBeta", alpha: 2, beta: 1 }],
  ["z-plus", "z-plus", { type: "ZPlus" }],
  ["w-square", "w-square", { type: "WSquare" }],
  ["flat", "flat", { type: "Flat" }],
  ["absolute", "magnitudes", { type: "Absolute" }],
  ["relative", "Relative LRP", { type: "Relative" }],
  ["relative-bare", "Relative LRP, bare", { type: "Relative", reading: "bare" }],
];
PLAY.ruleNamed = (name) => PLAY.RULES.find(([known]) => known === name)[2];

/** The logits of an input. */
PLAY.logits = (net, x) => LRP.forward(net, x).get(net.at(-1).name).data;

/** Explain a picture: the trace for one target, or for the difference of two logits, z_target - z_rival. */
PLAY.explain = (network, net, pixels, rule, target, rival = null) => {
  const x = network.ofPixels(pixels);
  const rules = LRP.assign(net, rule, network.box);
  if (rival === null) return LRP.trace(net, x, rules, { target });
  const logits = PLAY.logits(net, x);
  const seed = LRP.zeros([logits.length]);
  seed.data[target] = logits[target];
  seed.data[rival] -= logits[rival];
  return LRP.trace(net, x, rules, { seed, target });
};

/** The change that a map predicts when x becomes y: each pixel takes back its relevance as far as it goes to zero. */
PLAY.predicted = (R, x, y) =>
  LRP.sum(R.data.map((R_i, i) => (x.data[i] === 0 ? 0 : (R_i * (y.data[i] - x.data[i])) / x.data[i])));

PLAY.digit = (root, state) => {
  const { drawing, data } = state;
  const map = PLAY.heatmap("Relevance");
  const logits = PLAY.el("div", { class: "logits" });
  const reading = PLAY.el("p", { class: "note", "aria-live": "polite" });
  const table = PLAY.table(
    "strokes",
    "The change that the map predicted, and the true one",
    ["stroke", "pixels", "of", "predicted", "true"],
    [],
  );
  const strokes = table.tBodies[0];
  const books = PLAY.el("div");
  const warning = PLAY.el("p", { class: "warning", role: "alert" });
  let found = null; // the trace of what is shown
  let before = null; // the same when the present stroke began
  let count = 0; // the strokes that rubbed something out
  let started = false;
  let pointed = null; // row and column of the pixel that is read

  const names = state.networks.map(({ name }, k) => [k, name]);
  const network = PLAY.menu("Network", names, () => choose(Number(network.select.value)));
  const rule = PLAY.menu("Rule", PLAY.RULES, () => draw());
  const rival = PLAY.menu("rather than", [["", "(no other class)"]], () => draw());
  const pens = [
    ["draw", "draw"],
    ["rub", "rub out"],
  ];
  const tool = PLAY.choice("Pen", "tool", pens, () => {});
  const sample = PLAY.menu("Start from", [["", "an empty page"]], () => start(sample.select.value));
  const undo = PLAY.button("Undo", () => drawing.undo());
  const clear = PLAY.button("Clear", () => {
    sample.select.value = "";
    drawing.replace(blank());
  });
  const pad = PLAY.pad(drawing, { rubbing: () => tool.value === "rub", paper: () => paper(), moved: point });

  const chosen = () => state.network;
  const paper = () => chosen().mean; // 0 without normalisation: what a network takes for nothing
  const blank = () => {
    const picture = LRP.zeros(chosen().shape);
    const cells = picture.data.length / picture.shape[0];
    return { shape: picture.shape, data: picture.data.map((_, i) => paper()[Math.floor(i / cells)]) };
  };
  const target = () => {
    const value = logits.querySelector("input:checked")?.value ?? "";
    return value === "" ? null : Number(value);
  };

  function choose(k) {
    const kept = sample.select.value;
    const same = started && String(state.networks[k].shape) === String(chosen().shape);
    state.network = state.networks[k];
    started = true;
    const { shape, classes } = chosen();
    const fitting = Object.entries(data.samples).filter(([, image]) => String(image.shape) === String(shape));
    rival.offer([["", "(no other class)"], ...classes.map((said, c) => [c, said])]);
    sample.offer([["", "an empty page"], ...fitting.map(([name, { label }]) => [name, `${name} (label ${label})`])]);
    logits.replaceChildren(...classes.map((said, c) => row(said, c)), row("the largest", ""));
    if (!same) return start(fitting.some(([name]) => name === "hard-1") ? "hard-1" : (fitting[0]?.[0] ?? ""));
    sample.select.value = kept;
    drawing.reset(drawing.pixels);
  }

  function start(name) {
    sample.select.value = name;
    strokes.replaceChildren();
    table.hidden = true; // until something is rubbed out
    count = 0;
    drawing.reset(name ? LRP.array(data.samples[name]) : blank());
  }

  /** One class: choose it as the target, and see its logit. */
  function row(said, value) {
    const input = PLAY.el("input", {
      type: "radio",
      name: "target",
      value,
      checked: value === "",
      change: () => draw(),
    });
    const bar = PLAY.el("span", { class: "track", "aria-hidden": "true" });
    return PLAY.el(
      "label",
      { class: "logit" },
      input,
      PLAY.el("span", { class: "name" }, said),
      bar,
      PLAY.el("span", { class: "number" }),
    );
  }

  function showLogits(values) {
    const largest = Math.max(...values.map(Math.abs)) || 1;
    const best = values.indexOf(Math.max(...values));
    const probabilities = LRP.softmax(values);
    [...logits.children].forEach((label, c) => {
      const value = values[c];
      if (value === undefined) return; // the row of the largest
      const length = (50 * Math.abs(value)) / largest;
      const style = `width:${length}%;left:${value < 0 ? 50 - length : 50}%`;
      label.classList.toggle("best", c === best);
      label.children[2].replaceChildren(PLAY.el("span", { class: "bar plain", style }));
      label.children[3].textContent = `${PLAY.decimals(value)} (${(100 * probabilities[c]).toFixed(1)} %)`;
    });
  }

  const outputs = (pixels) => PLAY.logits(chosen().net, chosen().ofPixels(pixels));

  /** What is explained, as a number: a logit, or the difference of two. */
  const measured = (values, wanted, other) => values[wanted] - (other === null ? 0 : values[other]);
  const other = () => (rival.select.value === "" ? null : Number(rival.select.value));

  /** The trace of the picture as it is, with what it explains. */
  function explained() {
    const explain = (wanted, rival) =>
      PLAY.explain(chosen(), chosen().net, pixels, PLAY.ruleNamed(rule.select.value), wanted, rival);
    const { pixels } = drawing;
    const alone = explain(target(), null);
    const against = other() === alone.target ? null : other();
    const trace = against === null ? alone : explain(alone.target, against);
    return { ...trace, rival: against, pixels, value: measured(trace.logits.data, trace.target, against) };
  }

  function draw() {
    found = PLAY.offered(warning, explained);
    undo.disabled = !drawing.canUndo;
    showLogits(found ? found.logits.data : outputs(drawing.pixels));
    for (const part of [map.element, books]) part.classList.toggle("stale", found === null);
    read();
    if (found === null) return;
    const name = chosen().classes[found.target];
    const question =
      found.rival === null
        ? `why ${name}? logit`
        : `why ${name} rather than ${chosen().classes[found.rival]}? difference of the logits`;
    map.show(found.relevance, `${question} ${PLAY.decimals(found.value)}`);
    const arrived = LRP.sum(found.relevance.data);
    const title = "Where the relevance went, over all layers";
    books.replaceChildren(PLAY.ledger(title, found.ledger, found.ledger[0].out, arrived));
  }

  function point(y, x) {
    pointed = [y, x];
    read();
  }

  /** Say what the pixel that was pointed at has. */
  function read() {
    const [C, H, W] = drawing.pixels.shape;
    const [y, x] = pointed ?? [H, W];
    const known = found && y < H && x < W && String(found.relevance.shape) === String(drawing.pixels.shape);
    const p = y * W + x;
    const ink = () =>
      Array.from({ length: C }, (_, c) => PLAY.number(drawing.pixels.data[c * H * W + p], 2)).join(", ");
    reading.textContent = known
      ? `Row ${y + 1}, column ${x + 1}: ink ${ink()}, relevance ${PLAY.number(PLAY.perPixel(found.relevance)[p])}.`
      : "Point at a pixel, or move the cursor on the pad, to read its relevance.";
  }

  /** Compare the change that the map before the stroke predicted with the change that happened. */
  function compare() {
    if (tool.value !== "rub" || before === null) return;
    const { target: wanted, rival: against, value, relevance, pixels } = before;
    const [x, y] = [pixels, drawing.pixels].map((picture) => chosen().ofPixels(picture));
    const change = PLAY.perPixel({ shape: x.shape, data: x.data.map((x_i, i) => Math.abs(x_i - y.data[i])) });
    const changed = change.filter((size) => size > 0).length;
    if (changed === 0) return;
    const { classes } = chosen();
    const now = outputs(drawing.pixels);
    const of = against === null ? classes[wanted] : `${classes[wanted]} − ${classes[against]}`;
    const numbers = [PLAY.predicted(relevance, x, y), measured(now, wanted, against) - value];
    const cells = [(count += 1), changed, of, ...numbers.map((number) => PLAY.number(number))];
    strokes.prepend(PLAY.el("tr", {}, ...cells.map((said) => PLAY.el("td", {}, `${said}`))));
    table.hidden = false;
    while (strokes.children.length > 6) strokes.lastChild.remove();
  }

  let waiting = false; // one computation for each frame, however many dots a stroke makes
  let slow = false; // a large network is explained at the end of a stroke only
  drawing.listen((how) => {
    if (how === "begin") before = waiting ? PLAY.offered(warning, explained) : found;
    if (how === "end") compare();
    if (how === "begin" || waiting || (how === "stroke" && slow)) return;
    waiting = true;
    requestAnimationFrame(() => {
      const start = performance.now();
      waiting = false;
      draw();
      slow = performance.now() - start > 250;
    });
  });

  map.canvas.addEventListener("pointermove", (event) => {
    const box = map.canvas.getBoundingClientRect();
    const [, H, W] = drawing.pixels.shape;
    point(
      Math.min(H - 1, Math.floor(((event.clientY - box.top) / box.height) * H)),
      Math.min(W - 1, Math.floor(((event.clientX - box.left) / box.width) * W)),
    );
  });

  root.append(
    PLAY.el("div", { class: "buttons" }, network.element, sample.element, rule.element),
    PLAY.el("div", { class: "buttons" }, tool.element, undo, clear),
    warning,
    PLAY.el(
      "div",
      { class: "easel" },
      PLAY.el(
        "figure",
        {},
        pad.element,
        PLAY.el("figcaption", {}, "Draw here. Keys: arrows move, Space makes a dot, Enter lowers and lifts the pen."),
      ),
      map.element,
      PLAY.el(
        "div",
        {},
        PLAY.el("p", { class: "heading" }, "Logits: choose the one to explain"),
        logits,
        rival.element,
      ),
    ),
    reading,
    PLAY.el(
      "div",
      { class: "pair" },
      books,
      PLAY.el(
        "div",
        { class: "scroll" },
        PLAY.el("p", { class: "note" }, "Rub out a part of the digit to test what the map predicts."),
        table,
      ),
    ),
  );
  choose(0);
};
