// The epsilon slider: LRP-epsilon on every layer, on the picture that was drawn.
"use strict";

PLAY.epsilon = (root, state) => {
  // The slider moves through powers of ten; its left end is exactly 0.
  const LOWEST = -6;
  const range = PLAY.el("input", {
    type: "range",
    id: "epsilon-slider",
    min: LOWEST - 0.25,
    max: 2,
    step: 0.25,
    value: LOWEST,
    input: () => draw(),
  });
  const said = PLAY.el("output", { for: "epsilon-slider" });
  const map = PLAY.heatmap("LRP-ε on all layers");
  const books = PLAY.el("div");
  const value = () => (range.valueAsNumber < LOWEST ? 0 : 10 ** range.valueAsNumber);

  function draw() {
    const epsilon = value();
    said.textContent = `ε = ${epsilon === 0 ? "0, which is LRP-0" : PLAY.number(epsilon, 2)}`;
    const found = PLAY.explain(
      state.network,
      state.network.net,
      state.drawing.pixels,
      { type: "Epsilon", epsilon },
      null,
    );
    const start = found.ledger[0].out;
    const arrived = LRP.sum(found.relevance.data);
    const name = state.network.classes[found.target];
    const part = start === 0 ? "" : `${PLAY.number((100 * arrived) / start)} % of the logit of ${name}`;
    map.show(found.relevance, part);
    books.replaceChildren(PLAY.ledger("Where the relevance went", found.ledger, start, arrived));
  }

  root.append(
    PLAY.el(
      "div",
      { class: "slider wide" },
      PLAY.el("label", { for: "epsilon-slider" }, "ε from 0 to 100"),
      range,
      said,
    ),
    PLAY.el("div", { class: "pair" }, map.element, books),
  );
  state.whenSeen(root, draw);
};
