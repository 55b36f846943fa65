// The message matrix of a small layer in exact fractions: choose a rule, and read how each message comes about.
"use strict";

PLAY.matrix = (root) => {
  const { Fraction, FORMULAS, messages, kappa } = EXACT;
  const RULES = [
    ["Zero", "LRP-0", {}],
    ["Epsilon", "LRP-ε", { epsilon: "1/2" }],
    ["Gamma", "LRP-γ", { gamma: "1" }],
    ["AlphaBeta", "LRP-αβ", { alpha: "2", beta: "1" }],
    ["ZPlus", "z-plus", {}],
    ["ZBox", "z-box", { low: "−3", high: "3" }],
    ["WSquare", "w-square", {}],
    ["Flat", "flat", {}],
    ["Absolute", "magnitudes", {}],
    ["Relative", "Relative LRP, bare", {}],
  ];
  const LETTERS = { epsilon: "ε", gamma: "γ", alpha: "α", beta: "β", low: "l", high: "h" };
  const START = {
    a: ["1", "2", "1"],
    w: [
      ["2", "−1"],
      ["−1/2", "1"],
      ["1", "1"],
    ],
    b: ["0", "−1"],
    R: ["1", "1"],
  };

  const working = PLAY.el("p", { class: "working", "aria-live": "polite" });
  const note = PLAY.el("p", { class: "note" });
  const warning = PLAY.el("p", { class: "warning", role: "alert" });
  const arrow = (i, j) => ["R", PLAY.el("sub", {}, `${i}←${j}`)];
  const field = (text, label) =>
    PLAY.el("input", { class: "fraction", value: text, "aria-label": label, inputmode: "text", input: () => draw() });
  const a = START.a.map((text, i) => field(text, `input a ${i + 1}`));
  const w = START.w.map((row, i) => row.map((text, j) => field(text, `weight from input ${i + 1} to unit ${j + 1}`)));
  const b = START.b.map((text, j) => field(text, `bias of unit ${j + 1}`));
  const R = START.R.map((text, j) => field(text, `relevance of unit ${j + 1}`));
  const rule = PLAY.menu("Rule", RULES, () => chosen());
  const parameters = PLAY.el("span", { class: "parameters" });
  const results = PLAY.el("div", { class: "scroll" });
  let fields = {};

  const layer = PLAY.table(
    "layer",
    "The layer. Numbers, decimals and fractions such as −1/2, of up to nine digits, are read exactly.",
    ["", "input a", "w to unit 1", "w to unit 2"],
    [...a.map((input, i) => [`${i + 1}`, input, ...w[i]]), ["bias b", "", ...b], ["relevance R", "", ...R]],
  );

  function chosen() {
    const [, , given] = RULES.find(([type]) => type === rule.select.value);
    fields = Object.fromEntries(Object.entries(given).map(([name, text]) => [name, field(text, LETTERS[name])]));
    parameters.replaceChildren(
      ...Object.entries(fields).map(([name, x]) => PLAY.el("label", {}, `${LETTERS[name]} = `, x)),
    );
    draw();
  }

  /** The fraction in a field; a field that holds none is marked. */
  function read(input) {
    const found = Fraction.parse(input.value);
    input.setAttribute("aria-invalid", String(found === null));
    return found;
  }

  function draw() {
    const all = { a: a.map(read), w: w.map((row) => row.map(read)), b: b.map(read), R: R.map(read) };
    const given = Object.fromEntries(Object.entries(fields).map(([name, input]) => [name, read(input)]));
    const numbers = [...all.a, ...all.w.flat(), ...all.b, ...all.R, ...Object.values(given)];
    const refusal = numbers.includes(null)
      ? "Some fields hold no number of up to nine digits; they are marked."
      : refused(given);
    warning.textContent = refusal;
    results.classList.toggle("stale", refusal !== "");
    if (refusal) return;
    const chosenRule = { type: rule.select.value, ...given };
    const weights = (j) => all.w.map((row) => row[j]);
    const units = [0, 1].map((j) => messages(chosenRule, all.a, weights(j), all.b[j], all.R[j]));
    show(units, all.R);
  }

  /** Why these parameters are none of the rule, or "". */
  function refused({ epsilon, gamma, alpha, beta, low, high }) {
    if ([epsilon, gamma, alpha, beta].some((x) => x && x.sign < 0)) return "Parameters of a rule are not negative.";
    if (alpha && alpha.minus(beta).toString() !== "1") return "α − β must be 1.";
    return low && high.minus(low).sign < 0 ? "l must not exceed h." : "";
  }

  function show(units, R_out) {
    const sum = (parts) => parts.reduce((total, x) => total.plus(x), new Fraction(0n));
    const of = (i, j) => units[j][i];
    const largest = Math.max(...units.flat().map(({ value }) => Math.abs(value.number))) || 1;
    const cell = (i, j) => {
      const { value, working: said } = of(i, j);
      const told = () => working.replaceChildren(...arrow(i + 1, j + 1), ` = ${said}`);
      const [red, green, blue] = PLAY.colour((0.5 * value.number) / largest);
      const style = `background:rgb(${red},${green},${blue})`;
      const listeners = { mouseenter: told, focus: told, click: told };
      return PLAY.el("button", { type: "button", style, "data-cell": `${i + 1}${j + 1}`, ...listeners }, `${value}`);
    };
    const received = a.map((_, i) => of(i, 0).value.plus(of(i, 1).value));
    const passed = units.map((unit) => sum(unit.map(({ value }) => value)));
    const kept = passed.map((x, j) => R_out[j].minus(x));
    const told = "Point at a message, or move to it with the Tab key, to see its working.";
    results.replaceChildren(
      PLAY.table(
        "messages",
        ["The messages ", ...arrow("i", "j"), ` and their sums Rᵢ. ${told}`],
        ["to input", "from unit 1", "from unit 2", "Rᵢ"],
        a.map((_, i) => [`${i + 1}`, cell(i, 0), cell(i, 1), `${received[i]}`]),
        [["passed on", ...passed, sum(passed)].map(String), ["not passed on", ...kept, sum(kept)].map(String)],
      ),
    );
    working.replaceChildren(...arrow("i", "j"), ` = ${FORMULAS[rule.select.value]}`);
    const rescaled = `Rescaled, all messages are multiplied by κ = Σⱼ |Rⱼ| / Σᵢ |Rᵢ| = ${kappa(R_out, received)}.`;
    note.textContent = rule.select.value === "Relative" ? rescaled : "";
  }

  PLAY.dark.addEventListener("change", () => draw());
  const messagesOfRule = PLAY.el(
    "div",
    {},
    PLAY.el("div", { class: "buttons" }, rule.element, parameters),
    warning,
    results,
    working,
    note,
  );
  root.append(PLAY.el("div", { class: "pair" }, PLAY.el("div", { class: "scroll" }, layer), messagesOfRule));
  chosen();
};
