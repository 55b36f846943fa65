// One neuron under LRP-epsilon: drag a, w, b, R and epsilon, and watch the four steps, the bars and the books.
"use strict";

PLAY.neuron = (root) => {
  const START = { a1: 1, a2: 1, w1: 2, w2: -1, b: 0.5, R: 1, epsilon: 0 };
  const NAMES = { a1: "a₁", a2: "a₂", w1: "w₁", w2: "w₂", b: "b", R: "R", epsilon: "ε" };
  const warning = PLAY.el("p", { class: "warning", role: "alert" });
  const outputs = PLAY.el("div", { class: "outputs", "aria-live": "polite" });
  const sliders = Object.fromEntries(
    Object.entries(NAMES).map(([name, label]) => {
      const range = name === "epsilon" ? { low: 0, high: 2, step: 0.01, least: 0 } : { low: -3, high: 3, step: 0.05 };
      return [name, PLAY.slider(label, { ...range, value: START[name] }, () => draw())];
    }),
  );
  const set = (values) => {
    for (const [name, value] of Object.entries({ ...START, ...values })) sliders[name].set(value);
    draw();
  };

  /** Relevance and books of the neuron with the values of the sliders, or with some of them replaced. */
  function explained(changed = {}) {
    const at = (name) => changed[name] ?? sliders[name].value;
    const layer = new LRP.Dense({ weight: LRP.array([[at("w1"), at("w2")]]), bias: LRP.array([at("b")]) });
    const a = LRP.array([at("a1"), at("a2")]);
    const R = LRP.array([at("R")]);
    const { inputs, losses } = LRP.flow(layer, [a], R, { type: "Epsilon", epsilon: at("epsilon") });
    return { R_in: inputs[0].data, losses, z: layer.forward([a]).data[0] };
  }

  function steps({ R_in, z }) {
    const n = (name) => PLAY.number(sliders[name].value);
    const epsilon = sliders.epsilon.value;
    const denominator = z >= 0 ? z + epsilon : z - epsilon;
    const s = denominator === 0 ? "0, because the denominator is 0" : PLAY.number(sliders.R.value / denominator);
    const c = ["w1", "w2"].map((w) =>
      PLAY.number(denominator === 0 ? 0 : (sliders[w].value * sliders.R.value) / denominator),
    );
    const lines = [
      [
        "z = a₁ w₁ + a₂ w₂ + b",
        `(${n("a1")})(${n("w1")}) + (${n("a2")})(${n("w2")}) + (${n("b")}) = ${PLAY.number(z)}`,
      ],
      ["s = R / (z + ε sign z)", `${n("R")} / ${PLAY.number(denominator)} = ${s}`],
      ["cᵢ = wᵢ s", `c₁ = ${c[0]}, c₂ = ${c[1]}`],
      ["Rᵢ = aᵢ cᵢ", `R₁ = ${PLAY.number(R_in[0])}, R₂ = ${PLAY.number(R_in[1])}`],
    ];
    return PLAY.el(
      "ol",
      { class: "steps" },
      ...lines.map(([law, said]) =>
        PLAY.el("li", {}, PLAY.el("span", { class: "law" }, law), PLAY.el("span", {}, said)),
      ),
    );
  }

  function curve() {
    const bs = Array.from({ length: 601 }, (_, k) => -3 + k / 100);
    const found = bs.map((b) => explained({ b }).R_in);
    const series = [0, 1].map((i) => ({ label: `R${"₁₂"[i]}`, points: bs.map((b, k) => [b, found[k][i]]) }));
    const label = "R₁ and R₂ as the bias moves z through zero; without ε they have a pole where z = 0";
    const top = 8 * Math.max(1, Math.abs(sliders.R.value));
    return PLAY.chart(label, series, {
      x: [-3, 3],
      y: [-top, top],
      xName: "b",
      yName: "relevance",
      mark: sliders.b.value,
    });
  }

  function draw() {
    const found = explained();
    const R = sliders.R.value;
    const products = ["1", "2"].map((k) => sliders[`a${k}`].value * sliders[`w${k}`].value);
    const contributions = [
      { label: "a₁ w₁", value: products[0] },
      { label: "a₂ w₂", value: products[1] },
      { label: "b", value: sliders.b.value, kind: "bias" },
      { label: "z", value: found.z, kind: "plain", rule: true },
    ];
    const { bias, stabilizer, dropped } = found.losses;
    const books = [
      { label: "R₁", value: found.R_in[0] },
      { label: "R₂", value: found.R_in[1] },
      { label: "bias", value: bias, kind: "bias" },
      { label: "stabilizer (ε)", value: stabilizer, kind: "stabilizer" },
      { label: "dropped", value: dropped, kind: "dropped" },
      { label: "R, their sum", value: R, kind: "plain", rule: true },
    ];
    const residual = R - found.R_in[0] - found.R_in[1] - bias - stabilizer - dropped;
    const rounding = residual === 0 ? "0" : `${PLAY.number(residual)}, which is rounding`;
    const left = Number.isFinite(residual) ? rounding : "undefined, because some numbers exceed double precision";
    const invalid = Object.keys(NAMES).filter((name) => !sliders[name].valid());
    const used = invalid.map((name) => `${NAMES[name]} = ${PLAY.number(sliders[name].value)}`).join(", ");
    const limits = "Numbers go from −1 000 000 to 1 000 000, and ε from 0";
    warning.textContent = used && `${limits}; ${used} is used instead of what is marked.`;
    outputs.replaceChildren(
      steps(found),
      PLAY.el(
        "div",
        { class: "pair" },
        PLAY.bars("What the neuron computes", contributions),
        PLAY.bars("Where R goes", books),
      ),
      PLAY.el("p", { class: "note" }, `R less all of these is ${left}.`),
      curve(),
    );
  }

  root.append(
    PLAY.el("div", { class: "sliders" }, ...Object.values(sliders).map(({ element }) => element)),
    PLAY.el(
      "div",
      { class: "buttons" },
      PLAY.button("Set z = 0", () => set({ w2: -2, b: 0 })),
      PLAY.button("Set z = 0.01", () => set({ w2: -2, b: 0.01 })),
      PLAY.button("z = 0.01 and ε = 1", () => set({ w2: -2, b: 0.01, epsilon: 1 })),
      PLAY.button("Start again", () => set({})),
    ),
    warning,
    outputs,
  );
  draw();
};
