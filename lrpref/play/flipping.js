// Pixel flipping: replace pixels in the order of a map, and watch the output. The definitions are those of
// lrpref/evaluation/flipping.py (Bach et al. 2015, "pixel-flipping"; ABPC: Samek et al. 2017).
"use strict";

const FLIPPING = (() => {
  /** The pixels in the order of a map, most relevant first or least relevant first; equal ones by position. */
  function order(R, mostFirst) {
    const sign = mostFirst ? 1 : -1;
    return Array.from(R, (_, p) => p).sort((p, q) => sign * (R[q] - R[p]) || p - q);
  }

  /** x(k): the pictures after each `step` pixels of an order were replaced by the fill, one number per channel. */
  function* flipped(x, pixels, fill, step) {
    const [C] = x.shape;
    const cells = x.data.length / C;
    const picture = { shape: x.shape, data: x.data.slice() };
    yield picture;
    for (let k = 0; k < pixels.length; k += step) {
      for (const p of pixels.slice(k, k + step)) for (let c = 0; c < C; c++) picture.data[c * cells + p] = fill[c];
      yield picture;
    }
  }

  const mean = (values) => values.reduce((total, x) => total + x, 0) / values.length;

  /** ABPC = 1/(L+1) sum_k ( f(x_LeRF(k)) - f(x_MoRF(k)) ): a mean over the points of both curves. */
  const abpc = (morf, lerf) => mean(lerf.map((f, k) => f - morf[k]));

  return { order, flipped, abpc };
})();

if (typeof module !== "undefined") module.exports = FLIPPING;

if (typeof PLAY !== "undefined") {
  PLAY.flipping = (root, state) => {
    const chart = PLAY.el("div", { "aria-live": "polite" });
    const warning = PLAY.el("p", { class: "warning", role: "alert" });
    const rule = PLAY.menu("Order by", PLAY.RULES, () => stale());
    const fills = [
      ["0", "0 (no ink, or black)"],
      ["0.5", "0.5 (grey)"],
      ["1", "1 (ink, or white)"],
      ["mean", "the mean of the picture"],
    ];
    const fill = PLAY.menu("Fill", fills, () => stale());
    const steps = [14, 4, 49, 98, 196].map((pixels) => [pixels, pixels]);
    const step = PLAY.menu("Pixels for each step", steps, () => stale());
    const measure = PLAY.button("Measure", () => run());
    let running = 0; // a new measurement ends the one before

    function stale() {
      running += 1;
      measure.textContent = "Measure";
      chart.classList.add("stale");
    }

    /** What replaces a pixel, per channel, in the units of the network's input. */
    function background(x) {
      const { mean, std } = state.network;
      const cells = x.data.length / mean.length;
      return mean.map((m, c) => {
        if (fill.select.value === "mean") return LRP.sum(x.data.slice(c * cells, (c + 1) * cells)) / cells;
        return (Number(fill.select.value) - m) / std[c];
      });
    }

    async function run() {
      const mine = (running += 1);
      const { network } = state;
      const { net } = network;
      const chosen = PLAY.ruleNamed(rule.select.value);
      const found = PLAY.offered(warning, () => PLAY.explain(network, net, state.drawing.pixels, chosen, null));
      if (found === null) return;
      const x = network.ofPixels(state.drawing.pixels);
      const R = PLAY.perPixel(found.relevance);
      const width = Number(step.select.value);
      const curves = [];
      for (const mostFirst of [true, false]) {
        const curve = [];
        for (const picture of FLIPPING.flipped(x, FLIPPING.order(R, mostFirst), background(x), width)) {
          curve.push(PLAY.logits(net, picture)[found.target]);
          const part = curves.length / 2 + Math.min(0.5, (curve.length * width) / R.length / 2);
          measure.textContent = `Measuring: ${Math.round(100 * part)} %`;
          await new Promise((resolve) => setTimeout(resolve)); // lets the page draw, and other controls work
          if (mine !== running) return;
        }
        curves.push(curve);
      }
      measure.textContent = "Measure";
      show(curves, network.classes[found.target], R.length, width);
    }

    function show([morf, lerf], name, pixels, width) {
      const values = [...morf, ...lerf];
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const room = low === high ? 1 : 0;
      const points = (curve) => curve.map((f, k) => [Math.min(1, (k * width) / pixels), f]);
      const series = [
        { label: "most relevant first", points: points(morf) },
        { label: "least relevant first", points: points(lerf) },
      ];
      const axes = { xName: "part of the pixels replaced", yName: `logit of ${name}` };
      const bounds = { x: [0, 1], y: [low - room, high + room] };
      const label = `The logit of ${name} as pixels are replaced, in two orders`;
      const score = PLAY.number(FLIPPING.abpc(morf, lerf), 4);
      const said = `ABPC, the mean gap between the curves over ${morf.length} points: ${score}`;
      chart.classList.remove("stale");
      chart.replaceChildren(PLAY.chart(label, series, { ...bounds, ...axes }), PLAY.el("p", { class: "result" }, said));
    }

    root.append(
      PLAY.el("div", { class: "buttons" }, rule.element, fill.element, step.element, measure),
      warning,
      chart,
    );
    state.drawing.settled(stale);
  };
}
