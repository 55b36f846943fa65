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
];
PLAY.ruleNamed = (name) => PLAY.RULES.find(([known]) => known === name)[2];

/** Explain a picture: the trace for one target, or for the difference of two logits, z_target - z_rival. */
PLAY.explain = (network, net, pixels, rule, target, rival = null) => {
  const x = network.ofPixels(pixels);
  const rules = LRP.assign(net, rule, network.box);
  if (rival === null) return LRP.trace(net, x, rules, { target });
  const logits = LRP.forward(net, x).get(net.at(-1).name);
  const seed = LRP.zeros(logits.shape);
  seed.data[target] = logits.data[target];
  seed.data[rival] -= logits.data[rival];
  return LRP.trace(net, x, rules, { seed, target });
};

/** The change that a map predicts when x becomes y: each pixel takes back its relevance as far as it goes to zero. */
PLAY.predicted = (R, x, y) => LRP.sum(R.data.map((R_i, i) => (x.data[i] === 0 ? 0 : (R_i * (y.data[i] - x.data[i])) / x.data[i])));

PLAY.digit = (root, state) => {
  const { drawing, data } = state;
  const map = PLAY.heatmap("Relevance");
  const logits = PLAY.el("div", { class: "logits" });
  const reading = PLAY.el("p", { class: "note", "aria-live": "polite" }, "Point at a pixel, or move the cursor on the pad, to read its relevance.");
  const strokes = PLAY.el("tbody");
  const books = PLAY.el("div");
  let found = null; // the trace of what is shown
  let before = null; // the same when the present stroke began
  let count = 0;

  const network = PLAY.menu("Network", state.networks.map(({ name }, k) => [k, name]), () => choose(Number(network.select.value)));
  const rule = PLAY.menu("Rule", PLAY.RULES.map(([name, text]) => [name, text]), () => draw());
  const rival = PLAY.menu("rather than", [["", "(no other class)"]], () => draw());
  const tool = PLAY.choice("Pen", "tool", [["draw", "draw"], ["rub", "rub out"]], () => {});
  const sample = PLAY.menu("Start from", [["", "an empty page"]], () => start(sample.select.value));
  const undo = PLAY.button("Undo", () => drawing.undo());
  const clear = PLAY.button("Clear", () => drawing.replace(blank()));
  const pad = PLAY.pad(drawing, { rubbing: () => tool.value === "rub", paper: () => paper(), moved: read });

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
    state.network = state.networks[k];
    const { shape, classes } = chosen();
    rival.select.replaceChildren(...[["", "(no other class)"], ...classes.map((said, c) => [c, said])].map(([value, said]) => PLAY.el("option", { value }, said)));
    const fitting = Object.entries(data.samples).filter(([, image]) => String(image.shape) === String(shape));
    const options = [["", "an empty page"], ...fitting.map(([name, { label }]) => [name, `${name} (label ${label})`])];
    sample.select.replaceChildren(...options.map(([value, said]) => PLAY.el("option", { value }, said)));
    logits.replaceChildren(...classes.map((said, c) => row(said, c)), row("the largest", ""));
    const same = String(drawing.pixels.shape) === String(shape) && drawing.canUndo;
    if (same) drawing.reset(drawing.pixels);
    else start(fitting.some(([name]) => name === "hard-1") ? "hard-1" : (fitting[0]?.[0] ?? ""));
  }

  function start(name) {
    sample.select.value = name;
    strokes.replaceChildren();
    count = 0;
    drawing.reset(name ? LRP.array(data.samples[name]) : blank());
  }

  /** One class: choose it as the target, and see its logit. */
  function row(said, value) {
    const input = PLAY.el("input", { type: "radio", name: "target", value, checked: value === "", change: () => draw() });
    const bar = PLAY.el("span", { class: "track", "aria-hidden": "true" });
    return PLAY.el("label", { class: "logit" }, input, PLAY.el("span", { class: "name" }, said), bar, PLAY.el("span", { class: "number" }));
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
      label.children[3].textContent = `${PLAY.number(value)} (${(100 * probabilities[c]).toFixed(1)} %)`;
    });
  }

  /** What is explained, as a number: a logit, or the difference of two. */
  const measured = (values, wanted, other) => values[wanted] - (other === null ? 0 : values[other]);
  const other = () => (rival.select.value === "" ? null : Number(rival.select.value));

  function draw() {
    const { net } = chosen();
    found = PLAY.explain(chosen(), net, drawing.pixels, PLAY.ruleNamed(rule.select.value), target(), null);
    const against = other() === found.target ? null : other();
    if (against !== null) {
      found = PLAY.explain(chosen(), net, drawing.pixels, PLAY.ruleNamed(rule.select.value), found.target, against);
    }
    found = { ...found, rival: against, pixels: drawing.pixels, value: measured(found.logits.data, found.target, against) };
    showLogits(found.logits.data);
    const name = chosen().classes[found.target];
    const question = against === null ? `why ${name}?` : `why ${name} rather than ${chosen().classes[against]}?`;
    map.show(found.relevance, `${question} ${against === null ? "logit" : "difference of the logits"} ${PLAY.number(found.value)}`);
    const arrived = LRP.sum(found.relevance.data);
    books.replaceChildren(PLAY.ledger("Where the relevance went, over all layers", found.ledger, found.ledger[0].out, arrived));
    undo.disabled = !drawing.canUndo;
  }

  function read(y, x) {
    const [C, H, W] = drawing.pixels.shape;
    const p = y * W + x;
    if (!found || p >= H * W || found.relevance.shape[1] !== H) return;
    const ink = Array.from({ length: C }, (_, c) => PLAY.number(drawing.pixels.data[c * H * W + p], 2)).join(", ");
    reading.textContent = `Row ${y + 1}, column ${x + 1}: ink ${ink}, relevance ${PLAY.number(PLAY.perPixel(found.relevance)[p])}.`;
  }

  /** Compare the change that the map before the stroke predicted with the change that happened. */
  function compare() {
    if (!before || tool.value !== "rub") return;
    const [x, y] = [before.pixels, drawing.pixels].map((pixels) => chosen().ofPixels(pixels));
    const now = LRP.forward(chosen().net, y).get(chosen().net.at(-1).name).data;
    const changed = PLAY.perPixel({ shape: x.shape, data: x.data.map((x_i, i) => Math.abs(x_i - y.data[i])) }).filter((d) => d > 0).length;
    if (changed === 0) return;
    const name = chosen().classes[before.target] + (before.rival === null ? "" : ` − ${chosen().classes[before.rival]}`);
    const cells = [`${(count += 1)}`, `${changed}`, name, PLAY.number(PLAY.predicted(before.relevance, x, y)), PLAY.number(measured(now, before.target, before.rival) - before.value)];
    strokes.prepend(PLAY.el("tr", {}, ...cells.map((said) => PLAY.el("td", {}, said))));
    while (strokes.children.length > 6) strokes.lastChild.remove();
  }

  let waiting = false; // one computation for each frame, however many dots a stroke makes
  drawing.listen((how) => {
    if (how === "end") compare();
    if (how !== "stroke") before = null;
    else before ??= found;
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  });

  map.canvas.addEventListener("pointermove", (event) => {
    const box = map.canvas.getBoundingClientRect();
    const [, H, W] = drawing.pixels.shape;
    read(Math.min(H - 1, Math.floor(((event.clientY - box.top) / box.height) * H)), Math.min(W - 1, Math.floor(((event.clientX - box.left) / box.width) * W)));
  });

  root.append(
    PLAY.el("div", { class: "buttons" }, network.element, sample.element, rule.element),
    PLAY.el(
      "div",
      { class: "easel" },
      PLAY.el("figure", {}, pad.element, PLAY.el("figcaption", {}, "Draw here. "), tool.element, PLAY.el("div", { class: "buttons" }, undo, clear)),
      map.element,
      PLAY.el("div", {}, PLAY.el("p", { class: "heading" }, "Logits: choose the one to explain, ", rival.element), logits),
    ),
    reading,
    PLAY.el(
      "div",
      { class: "pair" },
      books,
      PLAY.el(
        "table",
        { class: "strokes" },
        PLAY.el("caption", {}, "Rub something out: the change that the map predicts, and the true one"),
        PLAY.el("thead", {}, PLAY.el("tr", {}, ...["stroke", "pixels", "of", "predicted", "true"].map((said) => PLAY.el("th", { scope: "col" }, said)))),
        strokes,
      ),
    ),
  );
  choose(0);
};
