// BatchNorm written three ways: one function, and the maps that a rule makes of it.
"use strict";

PLAY.batchnorm = (root, state) => {
  const about = state.networks.find(({ name }) => name === "mnist-cnn-bn");
  const panels = PLAY.el("div", { class: "row" });
  const table = PLAY.el("div", { class: "scroll" });
  const RULES = [
    ["zero", "LRP-0", { type: "Zero" }],
    ["epsilon", "LRP-ε, ε = 0.25", { type: "Epsilon", epsilon: 0.25 }],
    ["z-plus", "z-plus", { type: "ZPlus", stabilizer: 1e-6 }],
    ["gamma", "LRP-γ, γ = 0.25", { type: "Gamma", gamma: 0.25, stabilizer: 1e-6 }],
  ];
  const rule = PLAY.menu("Rule on all weighted layers", RULES, () => draw());
  const maps = ["As a layer with the rule", "As a layer that passes", "Folded away"].map((title) =>
    PLAY.heatmap(title),
  );
  panels.append(...maps.map(({ element }) => element));

  /** The network with its BatchNorms under the rule, under Pass, and folded: [net, rules]. */
  function written() {
    const given = RULES.find(([name]) => name === rule.select.value)[2];
    const under = (net, atNorm) =>
      Object.fromEntries(
        net
          .filter(({ layer }) => layer.kind === "linear")
          .map(({ name, layer }) => [name, layer.diagonal ? atNorm : given]),
      );
    const folded = LRP.fuse(about.net);
    return [
      [about.net, under(about.net, given)],
      [about.net, under(about.net, { type: "Pass" })],
      [folded, under(folded, given)],
    ];
  }

  const cosine = (a, b) => {
    const dot = (x, y) => LRP.sum(x.map((x_i, i) => x_i * y[i]));
    return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  };

  function draw() {
    if (String(state.drawing.pixels.shape) !== String(about.shape)) {
      const advice = "This section needs a picture of 28 x 28 grey pixels: choose mnist-cnn above.";
      table.replaceChildren(PLAY.el("p", { class: "warning" }, advice));
      return;
    }
    const x = about.ofPixels(state.drawing.pixels);
    const found = written().map(([net, rules]) => LRP.trace(net, x, rules));
    const [, , folded] = found;
    found.forEach((trace, k) => maps[k].show(trace.relevance));
    const of = (value, digits) => found.map((trace) => PLAY.number(value(trace), digits));
    table.replaceChildren(
      PLAY.table(
        "compare",
        `One logit, of class ${about.classes[folded.target]}, and three maps`,
        ["", "with the rule", "passes", "folded"],
        [
          ["logit", ...of(({ logits, target }) => logits.data[target], 6)],
          ["sum of the map", ...of(({ relevance }) => LRP.sum(relevance.data), 4)],
          ["cosine with the folded map", ...of(({ relevance }) => cosine(relevance.data, folded.relevance.data), 3)],
        ],
      ),
    );
  }

  root.append(PLAY.el("div", { class: "buttons" }, rule.element), panels, table);
  state.whenSeen(root, draw);
};
