// What the tests ask of the JavaScript of the page: {networks, questions} on standard input, answers on standard output.
// A question names its network. Arrays are {shape, float32} on the way in, and {shape, data} on the way out.
"use strict";

const { readFileSync } = require("node:fs");
const { resolve } = require("node:path");

const folder = resolve(process.argv[2]);
const LRP = require(resolve(folder, "lrp.js"));
const EXACT = require(resolve(folder, "exact.js"));
const FLIPPING = require(resolve(folder, "flipping.js"));

const plain = ({ shape, data }) => ({ shape, data: Array.from(data) });

const { networks, questions } = JSON.parse(readFileSync(0, "utf8"));
const built = (name, fused) => (fused ? LRP.fuse(LRP.network(networks[name])) : LRP.network(networks[name]));

/** The message matrix of a layer with one input, R_{i<-j} in row i and column j, by the engine: one unit at a time. */
function messagesOf(layer, input, R, rule) {
  const columns = Array.from(R.data, (_, j) => {
    const alone = { shape: R.shape, data: R.data.map((R_j, k) => (k === j ? R_j : 0)) };
    return LRP.flow(layer, [input], alone, rule).inputs[0].data;
  });
  return Array.from(input.data, (_, i) => columns.map((column) => column[i]));
}

const ANSWERS = {
  /** What the engine has: layer -> parameters, heads, rule -> parameters, presets. */
  tables: () => ({
    layers: Object.fromEntries(Object.entries(LRP.LAYERS).map(([name, { fields }]) => [name, fields])),
    heads: LRP.HEADS,
    rules: Object.fromEntries(Object.entries(LRP.PARAMETERS).map(([name, known]) => [name, Object.keys(known)])),
    presets: Object.keys(LRP.PRESETS),
  }),

  /** The trace of a rule: relevance, logits, ledger, and the rule of each layer. */
  trace: ({ network, fused, x, rule, box, target, seed }) => {
    const net = built(network, fused);
    const rules = LRP.assign(net, rule, box);
    const found = LRP.trace(net, LRP.array(x), rules, { target: target ?? null, seed: seed ?? "logit" });
    return { relevance: plain(found.relevance), logits: plain(found.logits), ledger: found.ledger, rules };
  },

  /** Why a network, a rule, a preset, a target or a seed is refused; null if it is not. */
  refusal: ({ network, x, rules, preset, ...where }) => {
    try {
      const net = built(network);
      if (preset) LRP.assign(net, preset);
      if (x) LRP.trace(net, LRP.array(x), rules, where);
      return null;
    } catch (error) {
      if (!(error instanceof LRP.NotOffered)) throw error;
      return error.message;
    }
  },

  /** What the texts mean as fractions; null if they mean none. */
  fractions: ({ texts }) => texts.map((text) => EXACT.Fraction.parse(text)?.toString() ?? null),

  /** The message matrix of a Dense layer in fractions, and in floating point by the engine; Relative is bare. */
  messages: ({ rule, a, w, b, R }) => {
    const fraction = EXACT.Fraction.parse;
    const read = (given) => Object.fromEntries(Object.entries(given).map(([key, text]) => [key, fraction(text)]));
    const { type, ...parameters } = rule;
    const exact = w.map((row, j) =>
      EXACT.messages({ type, ...read(parameters) }, a.map(fraction), row.map(fraction), fraction(b[j]), fraction(R[j])),
    );
    const number = (text) => fraction(text).number;
    const layer = new LRP.Dense({ weight: LRP.array(w.map((row) => row.map(number))), bias: LRP.array(b.map(number)) });
    const numbers = Object.fromEntries(Object.entries(parameters).map(([key, text]) => [key, number(text)]));
    const mode = type === "Relative" ? { reading: "bare" } : {};
    const zero = fraction("0");
    const sums = a.map((_, i) => exact.reduce((sum, unit) => sum.plus(unit[i].value), zero));
    return {
      kappa: `${EXACT.kappa(R.map(fraction), sums)}`,
      exact: a.map((_, i) => exact.map((unit) => `${unit[i].value}`)),
      working: a.map((_, i) => exact.map((unit) => unit[i].working)),
      engine: messagesOf(layer, LRP.array(a.map(number)), LRP.array(R.map(number)), { type, ...numbers, ...mode }),
    };
  },

  /** Both curves of pixel flipping for a map, and their ABPC. */
  flipping: ({ network, x, R, fill, step, target }) => {
    const net = built(network);
    const curves = [true, false].map((mostFirst) =>
      Array.from(
        FLIPPING.flipped(LRP.array(x), FLIPPING.order(LRP.array(R).data, mostFirst), [fill], step),
        (picture) => LRP.forward(net, picture).get(net.at(-1).name).data[target],
      ),
    );
    return { morf: curves[0], lerf: curves[1], abpc: FLIPPING.abpc(...curves) };
  },
};

process.stdout.write(JSON.stringify(questions.map(({ ask, ...question }) => ANSWERS[ask](question))));
