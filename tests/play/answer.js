// Answer the questions of lrp-cases with lrp.js, the engine of the page to play with:
//
//     lrp-cases ask --float --profile core | node tests/play/answer.js [lrp.js] | lrp-cases judge /dev/stdin --profile core
"use strict";

const { readFileSync } = require("node:fs");
const { resolve, join } = require("node:path");

const LRP = require(resolve(process.argv[2] ?? join(__dirname, "..", "..", "lrpref", "play", "lrp.js")));

/** Sample n of an array with a batch axis. */
function sample(batch, n) {
  const [, ...shape] = batch.shape;
  const length = batch.data.length / batch.shape[0];
  return { shape, data: batch.data.slice(n * length, (n + 1) * length) };
}

/** The rules of sample n: a bound of z-box may be an array shaped like the batch. */
function rulesOf(rules, n, N) {
  const bound = (given, shape) => {
    const held = LRP.array(given);
    return held.shape.length === shape.length && held.shape[0] === N ? LRP.nested(sample(held, n)) : given;
  };
  return (shape) =>
    Object.fromEntries(
      Object.entries(rules).map(([node, rule]) => [
        node,
        rule.type === "ZBox" ? { ...rule, low: bound(rule.low, shape), high: bound(rule.high, shape) } : rule,
      ]),
    );
}

function answer(question) {
  if (question.precision !== "float64") throw new LRP.NotOffered(`the precision ${question.precision}`);
  const net = LRP.network(question.network);
  const input = LRP.array(question.input);
  const seeds = Array.isArray(question.seed) ? LRP.array(question.seed) : null;
  return Array.from({ length: input.shape[0] }, (_, n) => {
    const rules = rulesOf(question.rules, n, input.shape[0])(input.shape);
    const seed = seeds ? sample(seeds, n) : question.seed;
    return LRP.nested(LRP.trace(net, sample(input, n), rules, { seed, target: question.target }).relevance);
  });
}

const answers = { library: "lrp.js", version: "1" };
for (const question of JSON.parse(readFileSync(0, "utf8")).questions) {
  try {
    answers[question.id] = answer(question);
  } catch (error) {
    if (!(error instanceof LRP.NotOffered)) throw error;
    answers[question.id] = { not_offered: `lrp.js does not offer ${error.message}` };
  }
}
process.stdout.write(JSON.stringify(answers));
