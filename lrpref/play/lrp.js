// Layer-wise Relevance Propagation in one file: plain JavaScript, float64, no dependencies, for browsers and Node.
//
// Letters: a_i is an input of a layer, w_ij a weight, b_j a bias, z_j = sum_i a_i w_ij + b_j an output, R relevance.
// (.)+ and (.)- are the positive and the negative part, so that x = x+ + x-, and sign(0) = +1.
//
// An array is {shape, data}: one sample without a batch axis, (features) or (C, H, W), with its numbers in row-major
// order. The conventions are those of the specification of LRP (cases/SPEC.md of lrpref), and its conformance cases
// judge this file: tests/play/answer.js asks them.
"use strict";

const LRP = (() => {
  /** Raised, with its name, for whatever this file lacks: it computes what was asked, or says that it does not. */
  class NotOffered extends Error {}

  const size = (shape) => shape.reduce((n, length) => n * length, 1);
  const zeros = (shape) => ({ shape, data: new Float64Array(size(shape)) });
  const sum = (data) => data.reduce((total, x) => total + x, 0);

  /** An array from nested lists, a number, {shape, data}, or {shape, float32}: little-endian numbers in base64. */
  function array(given) {
    if (given.data !== undefined) return { shape: given.shape, data: Float64Array.from(given.data) };
    if (given.float32 !== undefined) {
      const bytes = Uint8Array.from(atob(given.float32), (character) => character.charCodeAt(0));
      return { shape: given.shape, data: Float64Array.from(new Float32Array(bytes.buffer)) };
    }
    const shape = [];
    for (let part = given; Array.isArray(part); part = part[0]) shape.push(part.length);
    return { shape, data: Float64Array.from([given].flat(Infinity)) };
  }

  /** The nested lists of an array. */
  function nested({ shape, data }) {
    let parts = Array.from(data);
    for (const length of shape.slice(1).reverse()) {
      parts = Array.from({ length: parts.length / length }, (_, k) => parts.slice(k * length, (k + 1) * length));
    }
    return parts;
  }

  // ---- the maps that terms are made of -----------------------------------------------------------------------------

  const identity = (x) => x;
  const positive = (x) => Math.max(x, 0);
  const negative = (x) => Math.min(x, 0);
  const magnitude = (x) => Math.abs(x);
  const square = (x) => x * x;
  const one = () => 1;

  /** x less a bound of z-box: one number, one for each channel (the first axis), or one for each cell. */
  function above(bound) {
    const { data } = array(bound);
    return (x, i, a) => x - data[Math.floor((i * data.length) / size(a.shape))];
  }

  // ---- the rules ---------------------------------------------------------------------------------------------------
  //
  // A rule is a list of ratios. A ratio is a coefficient and terms; a term replaces a, w and b by maps of them,
  // a', w' and b' (no b: the rule leaves the bias out). The positive part of a product needs two terms, because
  // (a w)+ = a+ w+ + a- w- and (a w)- = a+ w- + a- w+.

  const term = (a, w, b = null) => ({ a, w, b });
  const ratio = (terms, coefficient = 1) => ({ terms, coefficient });
  const favouring = (gamma, part) => (x) => x + gamma * part(x);

  const RULES = {
    // LRP-0:  R_i = sum_j  a_i w_ij / z_j  R_j
    // Bach et al. 2015, PLoS ONE 10(7):e0130140, eq. 56; Montavon et al. 2019, LNCS 11700, sec. 10.2.1
    Zero: () => [ratio([term(identity, identity, identity)])],

    // LRP-epsilon:  R_i = sum_j  a_i w_ij / (z_j + epsilon sign(z_j))  R_j
    // Bach et al. 2015, eq. 58; Montavon et al. 2019, sec. 10.2.1. The function `stabilizer` adds the epsilon.
    Epsilon: () => [ratio([term(identity, identity, identity)])],

    // LRP-gamma, plain, for a >= 0:
    //     R_i = sum_j  a_i (w_ij + gamma w_ij+) / (sum_i a_i (w_ij + gamma w_ij+) + b_j + gamma b_j+)  R_j
    // Montavon et al. 2019, sec. 10.2.1. Generalised: the contributions with the sign of z_j count more,
    //     z_j >= 0:  R_i = sum_j  (a_i w_ij + gamma (a_i w_ij)+) / (z_j + gamma z_j+)  R_j
    //     z_j <  0:  R_i = sum_j  (a_i w_ij + gamma (a_i w_ij)-) / (z_j + gamma z_j-)  R_j
    // Andeol et al. 2021, as implemented in zennit.
    Gamma: ({ gamma = 0.25, generalised = false }) => {
      const up = favouring(gamma, positive);
      const down = favouring(gamma, negative);
      if (!generalised) return [ratio([term(identity, up, up)])];
      return [
        ratio([term(positive, up, up), term(negative, down)]),
        ratio([term(positive, down, down), term(negative, up)]),
      ];
    },

    // LRP-alpha-beta, with alpha - beta = 1:
    //     R_i = sum_j  (alpha (a_i w_ij)+ / z_j+  -  beta (a_i w_ij)- / z_j-)  R_j
    //     z_j+ = sum_i (a_i w_ij)+ + b_j+        z_j- = sum_i (a_i w_ij)- + b_j-
    // Bach et al. 2015, eq. 60, where beta has the other sign
    AlphaBeta: ({ alpha = 2, beta = 1, bias = "keep" }) => [
      ratio([term(positive, positive, bias === "keep" ? positive : null), term(negative, negative)], alpha),
      ratio([term(positive, negative, bias === "keep" ? negative : null), term(negative, positive)], -beta),
    ],

    // z-plus:  R_i = sum_j  (a_i w_ij)+ / (sum_i (a_i w_ij)+ + b_j+)  R_j
    // Montavon et al. 2017, Pattern Recognition 65:211, the z+-rule, for inputs of both signs
    ZPlus: () => [ratio([term(positive, positive, positive), term(negative, negative)])],

    // z-box, for inputs between l and h:
    //     R_i = sum_j  (a_i w_ij - l_i w_ij+ - h_i w_ij-) / sum_i (a_i w_ij - l_i w_ij+ - h_i w_ij-)  R_j
    // Montavon et al. 2017, the z^B-rule. The numerator is (a - l) w+ + (a - h) w-; the bias cancels.
    ZBox: ({ low, high }) => [ratio([term(above(low), positive), term(above(high), negative)])],

    // w-square:  R_i = sum_j  w_ij^2 / sum_i w_ij^2  R_j                     Montavon et al. 2017, the w^2-rule
    WSquare: () => [ratio([term(one, square)])],

    // flat:  R_i = sum_j  1 / n_j  R_j, for n_j inputs of unit j             Lapuschkin et al. 2019, in the methods
    Flat: () => [ratio([term(one, one)])],

    // magnitudes:  R_i = sum_j  |a_i w_ij| / (sum_i |a_i w_ij| + |b_j|)  R_j
    // attributed to Hui and Binder 2019 (LNCS 11507) by third-party code; the paper has not been checked
    Absolute: () => [ratio([term(magnitude, magnitude, magnitude)])],
  };

  const amount = (x) => Number.isFinite(x) && x >= 0;
  const bounds = (x) => array(x).data.every(Number.isFinite);
  const YES_OR_NO = [true, false];

  // Each rule with its parameters: what each may be, as a list or as a test.
  const PARAMETERS = {
    Zero: {},
    Epsilon: { epsilon: amount, scale: [null, "rms"] },
    Gamma: { gamma: amount, generalised: YES_OR_NO, stabilizer: amount },
    AlphaBeta: {
      ...{ alpha: amount, beta: amount, stabilizer: amount },
      ...{ bias: ["keep", "ignore"], empty: ["literal", "renormalise"] },
    },
    ZPlus: { stabilizer: amount },
    ZBox: { low: bounds, high: bounds, stabilizer: amount },
    WSquare: { stabilizer: amount },
    Flat: { stabilizer: amount },
    Absolute: { stabilizer: amount },
    Relative: { reading: ["rescaled", "bare"], rescale: YES_OR_NO },
    Pass: {},
  };

  function checkRule({ type, ...parameters }) {
    if (!Object.hasOwn(PARAMETERS, type)) throw new NotOffered(`the rule ${type}`);
    for (const [name, value] of Object.entries(parameters)) {
      if (!Object.hasOwn(PARAMETERS[type], name)) throw new NotOffered(`${type}: ${name}`);
      const may = PARAMETERS[type][name];
      if (!(may.includes?.(value) ?? may(value))) throw new NotOffered(`${type}: ${name} = ${JSON.stringify(value)}`);
    }
    const { alpha = 2, beta = 1 } = parameters;
    if (Math.abs(alpha - beta - 1) > 1e-12) throw new NotOffered(`${type}: alpha - beta = ${alpha - beta}`);
  }

  /** The epsilon of a rule, in the units of z; with the scale "rms", times the root mean square of z. */
  function stabilizer(rule, z) {
    if (rule.type !== "Epsilon") return rule.stabilizer ?? 0;
    const epsilon = rule.epsilon ?? 1e-6;
    return rule.scale === "rms" ? epsilon * Math.sqrt(sum(z.map(square)) / z.length) : epsilon;
  }

  /** The part of R_j that each ratio redistributes: its coefficient times R_j, unless the rule chooses by z_j. */
  function shares(rule, ratios, zs, R, z) {
    if (rule.type === "Gamma" && rule.generalised) {
      return [R.map((R_j, j) => (z[j] >= 0 ? R_j : 0)), R.map((R_j, j) => (z[j] >= 0 ? 0 : R_j))];
    }
    return ratios.map(({ coefficient }, k) =>
      R.map((R_j, j) => {
        if (rule.empty === "renormalise" && (zs[0][j] === 0) !== (zs[1][j] === 0)) return zs[k][j] === 0 ? 0 : R_j;
        return coefficient * R_j;
      }),
    );
  }

  // ---- the engine: four steps for every rule and every linear layer ------------------------------------------------

  const NOTHING = { bias: 0, stabilizer: 0, dropped: 0, factor: 0 };
  const stabilize = (z, epsilon) => (z >= 0 ? z + epsilon : z - epsilon);
  const over = (x, y) => (y === 0 ? 0 : x / y); // a denominator of exactly zero passes nothing on

  /** A ratio on the inputs, weights and bias of a layer: the a', w' and b' of its terms. */
  function applied({ terms, coefficient }, inputs, w, b) {
    const apply = (map) => {
      const a = inputs.map((x) => ({ shape: x.shape, data: x.data.map((x_i, i) => map.a(x_i, i, x)) }));
      // silent: a' is zero, as a- is after a ReLU, so that the term adds its bias alone
      const silent = a.every(({ data }) => data.every((x) => x === 0));
      return { a, w: w.map((x) => map.w(x)), b: map.b && b ? b.map((x) => map.b(x)) : null, silent };
    };
    return { coefficient, terms: terms.map(apply) };
  }

  /**
   * Redistribute the relevance R of a linear layer's output to its inputs, in the four steps of Montavon et al. 2019,
   * sec. 10.2.2 (with j and k there for i and j here), taken once for each ratio:
   *
   *     z_j = sum over terms (sum_i a'_i w'_ij + b'_j)        s_j = coefficient R_j / stabilize(z_j)
   *     c_i = sum_j w'_ij s_j                                 R_i = sum over terms a'_i c_i
   *
   * The losses say where the rest of R went: sum_j R_j = sum_i R_i + bias + stabilizer + dropped + factor.
   */
  function flow(layer, inputs, R, rule) {
    checkRule(rule);
    if (rule.type === "Pass") {
      if (!layer.diagonal) throw new NotOffered("Pass on a layer whose units have several inputs");
      return { inputs: [R], losses: NOTHING };
    }
    if (rule.type === "Relative") return relativeFlow(layer, inputs, R, rule);
    const losses = { ...NOTHING };
    const { w, b } = layer.parameters(inputs);
    const ratios = RULES[rule.type](rule).map((ratio) => applied(ratio, inputs, w, b));
    const biases = ratios.map(({ terms }) => R.data.map((_, j) => sum(terms.map((t) => (t.b ? t.b[j] : 0)))));
    const zs = ratios.map(({ terms }, k) => {
      const z = biases[k].slice();
      for (const t of terms) if (!t.silent) layer.linear(t.w, t.a).forEach((z_j, j) => (z[j] += z_j));
      return z;
    });
    const parts = shares(rule, ratios, zs, R.data, rule.generalised ? layer.forward(inputs).data : null);
    const passed = inputs.map((a) => zeros(a.shape));
    ratios.forEach(({ terms }, k) => {
      const epsilon = stabilizer(rule, zs[k]);
      const denominator = zs[k].map((z_j) => stabilize(z_j, epsilon));
      const s = parts[k].map((R_j, j) => over(R_j, denominator[j]));
      for (const t of terms) {
        if (t.silent) continue;
        const c = layer.adjoint(t.w, s, inputs);
        passed.forEach((R_in, n) => R_in.data.forEach((_, i) => (R_in.data[i] += t.a[n].data[i] * c[n][i])));
      }
      s.forEach((s_j, j) => {
        losses.bias += s_j * biases[k][j];
        losses.stabilizer += s_j * (denominator[j] - zs[k][j]);
        if (denominator[j] === 0) losses.dropped += parts[k][j];
      });
    });
    return { inputs: passed, losses };
  }

  // ---- Relative LRP, which has a flow of its own -------------------------------------------------------------------

  const sgn = (x) => (x >= 0 ? 1 : x < 0 ? -1 : x); // sgn(0) = +1

  /**
   * Relative LRP: each share is relative to the number n of inputs of a unit, never to a value that may be small.
   *
   *     R[i<-j] = sgn(z_j) (a_i w_ij / n) R_j
   *     R_i = kappa sum_j R[i<-j]              kappa = (sum_j |R_j|) / (sum_i |sum_k R[i<-k]|)
   *
   * The reading "bare", or rescale = false, has kappa = 1. The losses are bias = sum_j kappa sgn(z_j) b_j R_j / n and
   * factor = sum_j R_j (1 - kappa |z_j| / n). A skip connection takes LRP-0, the only division by values; see `assign`.
   *
   * Reconstructed from the abstract of Nyiri and Gibaru 2025, arXiv 2501.14322, which prints no formula; kappa is an
   * addition of lrpref, and lrpref/relative.py explains this and the other readings.
   */
  function relativeFlow(layer, inputs, R, { reading = "rescaled", rescale = true }) {
    const rescaled = reading === "rescaled" && rescale;
    const total = (parts) => (rescaled ? sum(parts.map((data) => sum(data.map(magnitude)))) : 1);
    const { w, b } = layer.parameters(inputs);
    const n = layer.fanIn(inputs);
    const z = layer.forward(inputs).data;
    const received = total([R.data]); // R is measured in it, so that messages neither overflow nor vanish
    const s = R.data.map((R_j, j) => (sgn(z[j]) * over(R_j, received)) / n);
    const c = layer.adjoint(w, s, inputs);
    const m = inputs.map((a, k) => a.data.map((a_i, i) => a_i * c[k][i]));
    const sent = total(m);
    const grown = (x) => received * over(x, sent); // kappa x, in the units of R
    return {
      inputs: m.map((data, k) => ({ shape: inputs[k].shape, data: data.map(grown) })),
      losses: {
        ...NOTHING,
        bias: grown(sum(s.map((s_j, j) => s_j * (b ? b[j] : 0)))),
        factor: sum(R.data) - grown(sum(s.map((s_j, j) => s_j * z[j]))),
      },
    };
  }

  // ---- linear layers: z = linear(w, a) + b, the adjoint of `linear`, and the number of inputs of a unit ------------

  class Linear {
    kind = "linear";
    constructor(given) {
      Object.assign(this, given);
    }
    forward(inputs) {
      const { w, b } = this.parameters(inputs);
      const z = this.linear(w, inputs);
      return { shape: this.outputShape(inputs), data: b ? z.map((z_j, j) => z_j + b[j]) : z };
    }
  }

  /** One number per channel, repeated for the cells of each channel. */
  const spread = ({ data }, shape) =>
    new Float64Array(size(shape)).map((_, j) => data[Math.floor((j * data.length) / size(shape))]);

  /** z_j = sum_i a_i w_ij + b_j, with w_ij stored as weight[j, i]. */
  class Dense extends Linear {
    weighted = true;
    outputShape([a]) {
      if (a.shape.length !== 1) throw new NotOffered(`Dense on an input of shape (${a.shape})`);
      return [this.weight.shape[0]];
    }
    fanIn = ([a]) => a.data.length;
    parameters = () => ({ w: this.weight.data, b: this.bias && this.bias.data });
    linear(w, [a]) {
      const n = a.data.length;
      return new Float64Array(w.length / n).map((_, j) => {
        let z_j = 0;
        for (let i = 0; i < n; i++) z_j += a.data[i] * w[j * n + i];
        return z_j;
      });
    }
    adjoint(w, s, [a]) {
      const n = a.data.length;
      const c = new Float64Array(n);
      s.forEach((s_j, j) => {
        if (s_j !== 0) for (let i = 0; i < n; i++) c[i] += w[j * n + i] * s_j;
      });
      return [c];
    }
  }

  const WINDOW = ["kernel_size", "stride", "padding", "dilation"];
  const pair = (given) => (Array.isArray(given) ? given : [given, given]);

  /** Windows over the last two axes of (C, H, W): what convolutions and pools share. */
  class Windows extends Linear {
    constructor({ kernel, stride = 1, padding = 0, dilation = 1, ...given }) {
      const [rows, columns] = pair(padding); // one number, (rows, columns), or [top, bottom, left, right]
      const [top, bottom, left, right] = padding.length === 4 ? padding : [rows, rows, columns, columns];
      super({ ...given, kernel, stride: pair(stride), dilation: pair(dilation), padding: [top, bottom, left, right] });
    }
    outputSize([, H, W]) {
      const [top, bottom, left, right] = this.padding;
      const length = (n, k) => Math.floor((n - this.dilation[k] * (this.kernel[k] - 1) - 1) / this.stride[k]) + 1;
      return [length(H + top + bottom, 0), length(W + left + right, 1)];
    }
    /**
     * The runs of cells that the taps of the kernel connect within one channel: `count` cells, beginning with output
     * cell `p` and input cell `q`. Along a run, the output cell moves by 1 and the input cell by the stride.
     */
    runs([, H, W]) {
      const [rows, columns] = this.outputSize([0, H, W]);
      const [stepY, stepX] = this.stride;
      const [top, , left] = this.padding;
      const found = [];
      for (let tap = 0; tap < size(this.kernel); tap++) {
        const y0 = Math.floor(tap / this.kernel[1]) * this.dilation[0] - top;
        const x0 = (tap % this.kernel[1]) * this.dilation[1] - left;
        const first = Math.max(0, Math.ceil(-x0 / stepX));
        const count = Math.min(columns - 1, Math.floor((W - 1 - x0) / stepX)) - first + 1;
        for (let row = 0; row < rows; row++) {
          const y = row * stepY + y0;
          if (y < 0 || y >= H || count < 1) continue;
          found.push({ tap, p: row * columns + first, q: y * W + first * stepX + x0, count });
        }
      }
      return found;
    }
    /** Call visit(first output cell, first input cell, count, weight) for the runs of all pairs of channels. */
    along({ shape }, visit) {
      const cells = [size(this.outputSize(shape)), shape[1] * shape[2]];
      const runs = this.runs(shape);
      for (const [o, c, kernel] of this.channels(shape)) {
        for (const { tap, p, q, count } of runs) visit(o * cells[0] + p, c * cells[1] + q, count, kernel + tap);
      }
    }
  }

  /** A convolution; cells of its padding are 0, are no inputs and receive nothing. */
  class Conv2D extends Windows {
    weighted = true;
    convolution = true;
    constructor({ weight, groups = 1, ...given }) {
      super({ ...given, weight, groups, kernel: weight.shape.slice(2) });
    }
    outputShape([a]) {
      if (a.shape.length !== 3) throw new NotOffered(`Conv2D on an input of shape (${a.shape})`);
      return [this.weight.shape[0], ...this.outputSize(a.shape)];
    }
    fanIn = () => size(this.weight.shape.slice(1));
    parameters = (inputs) => ({ w: this.weight.data, b: this.bias && spread(this.bias, this.outputShape(inputs)) });
    /** The pairs of an output and an input channel that are connected, with the index of the first weight. */
    *channels() {
      const [O, C] = this.weight.shape;
      for (let o = 0; o < O; o++) {
        const group = Math.floor((o * this.groups) / O);
        for (let c = 0; c < C; c++) yield [o, group * C + c, (o * C + c) * size(this.kernel)];
      }
    }
    linear(w, [a]) {
      const z = new Float64Array(size(this.outputShape([a])));
      const step = this.stride[1];
      this.along(a, (j, i, count, k) => {
        if (w[k] !== 0) for (let n = 0; n < count; n++) z[j + n] += a.data[i + n * step] * w[k];
      });
      return z;
    }
    adjoint(w, s, [a]) {
      const c = new Float64Array(a.data.length);
      const step = this.stride[1];
      this.along(a, (j, i, count, k) => {
        if (w[k] !== 0) for (let n = 0; n < count; n++) c[i + n * step] += w[k] * s[j + n];
      });
      return [c];
    }
  }

  /** Windows on every channel by itself. */
  class Pool extends Windows {
    constructor({ kernel_size, stride = kernel_size, ...given }) {
      super({ ...given, stride, kernel: pair(kernel_size) });
    }
    outputShape = ([a]) => [a.shape[0], ...this.outputSize(a.shape)];
    channels = ([C]) => Array.from({ length: C }, (_, c) => [c, c, 0]);
    /** Call visit(output cell, input cell) for every cell of every window. */
    cells(a, visit) {
      this.along(a, (j, i, count) => {
        for (let n = 0; n < count; n++) visit(j + n, i + n * this.stride[1]);
      });
    }
  }

  /** The mean of each window: 1/n to its cells, where n counts the padding only if `count_include_pad`. */
  class AvgPool2D extends Pool {
    constructor({ count_include_pad = true, ...given }) {
      super({ ...given, count_include_pad });
    }
    fanIn = () => size(this.kernel);
    /** One weight for each output cell of a channel. */
    parameters([a]) {
      const n = new Float64Array(size(this.outputSize(a.shape)));
      this.cells({ shape: [1, ...a.shape.slice(1)] }, (p) => (n[p] += 1));
      return { w: n.map((inside) => 1 / (this.count_include_pad ? size(this.kernel) : inside)), b: null };
    }
    linear(w, [a]) {
      const z = new Float64Array(size(this.outputShape([a])));
      this.cells(a, (j, i) => (z[j] += a.data[i] * w[j % w.length]));
      return z;
    }
    adjoint(w, s, [a]) {
      const c = new Float64Array(a.data.length);
      this.cells(a, (j, i) => (c[i] += w[j % w.length] * s[j]));
      return [c];
    }
  }

  /** The mean of each channel. */
  class GlobalAvgPool2D extends Linear {
    outputShape = ([a]) => [a.shape[0], 1, 1];
    fanIn = ([a]) => a.data.length / a.shape[0];
    parameters = ([a]) => ({ w: Float64Array.of(1 / this.fanIn([a])), b: null });
    linear(w, [a]) {
      const n = this.fanIn([a]);
      return new Float64Array(a.shape[0]).map((_, j) => w[0] * sum(a.data.slice(j * n, (j + 1) * n)));
    }
    adjoint = (w, s, [a]) => [a.data.map((_, i) => w[0] * s[Math.floor(i / this.fanIn([a]))])];
  }

  /** z = w a + b with one w and b per channel: each unit has one input. */
  class Scale extends Linear {
    diagonal = true;
    outputShape = ([a]) => a.shape;
    fanIn = () => 1;
    parameters = ([a]) => ({ w: spread(this.weight, a.shape), b: this.bias && spread(this.bias, a.shape) });
    linear = (w, [a]) => a.data.map((x, i) => x * w[i]);
    adjoint = (w, s) => [s.map((s_j, j) => w[j] * s_j)];
  }

  /** Batch normalisation at inference: the diagonal layer w = g / sqrt(var + eps), b = beta - w mean. */
  class BatchNorm extends Scale {
    constructor({ weight, bias, mean, var: variance, eps = 1e-5 }) {
      const w = variance.data.map((v, c) => (weight ? weight.data[c] : 1) / Math.sqrt(v + eps));
      const b = w.map((w_c, c) => (bias ? bias.data[c] : 0) - w_c * mean.data[c]);
      super({ weight: { shape: mean.shape, data: w }, bias: { shape: mean.shape, data: b } });
    }
  }

  /** z = a_1 + a_2 + ...: a skip connection, with the weight 1 for every summand. */
  class Add extends Linear {
    outputShape = ([a]) => a.shape;
    fanIn = (inputs) => inputs.length;
    parameters = () => ({ w: Float64Array.of(1), b: null });
    linear = (w, inputs) => inputs[0].data.map((_, i) => w[0] * sum(inputs.map((a) => a.data[i])));
    adjoint = (w, s, inputs) => inputs.map(() => s.map((s_j) => w[0] * s_j));
  }

  // ---- layers that pass relevance on, whatever the rule ------------------------------------------------------------

  /** An activation passes relevance unchanged, whatever its slope. */
  class Elementwise {
    kind = "elementwise";
    constructor(f) {
      this.f = f;
    }
    forward = ([a]) => ({ shape: a.shape, data: a.data.map((x) => this.f(x)) });
    route = (_, R) => [R];
  }

  class Flatten {
    kind = "routing";
    forward = ([a]) => ({ shape: [a.data.length], data: a.data });
    route = ([a], R) => [{ shape: a.shape, data: R.data }];
  }

  /**
   * The largest value of each window. The cell that has it receives all relevance (winner takes all); of several, the
   * first one in reading order, or with ties="equal" each its part.
   */
  class MaxPool2D extends Pool {
    kind = "routing";
    constructor({ ties = "first", ...given }) {
      if (ties !== "first" && ties !== "equal") throw new NotOffered(`MaxPool2D with ties = ${ties}`);
      super({ ...given, ties });
    }
    forward([a]) {
      const z = new Float64Array(size(this.outputShape([a]))).fill(-Infinity);
      this.cells(a, (j, i) => (z[j] = Math.max(z[j], a.data[i])));
      return { shape: this.outputShape([a]), data: z };
    }
    route([a], R) {
      const z = this.forward([a]).data;
      const winners = new Float64Array(z.length);
      this.cells(a, (j, i) => (winners[j] += a.data[i] === z[j] ? 1 : 0));
      const parts = this.ties === "first" ? winners.fill(1) : winners; // how many winners are paid
      const left = parts.slice();
      const R_in = zeros(a.shape);
      this.cells(a, (j, i) => {
        if (a.data[i] !== z[j] || left[j] === 0) return;
        left[j] -= 1;
        R_in.data[i] += R.data[j] / parts[j];
      });
      return [R_in];
    }
  }

  function softmax(data) {
    const largest = Math.max(...data);
    const exponentials = data.map((x) => Math.exp(x - largest));
    return exponentials.map((x) => x / sum(exponentials));
  }

  // Each layer with the parameters that it takes here; others are refused unless they are null or false.
  const layer = (make, ...fields) => ({ make, fields });
  const LAYERS = {
    Dense: layer((given) => new Dense(given), "weight", "bias"),
    Conv2D: layer((given) => new Conv2D(given), "weight", "bias", "stride", "padding", "dilation", "groups"),
    AvgPool2D: layer((given) => new AvgPool2D(given), ...WINDOW, "count_include_pad"),
    MaxPool2D: layer((given) => new MaxPool2D(given), ...WINDOW, "ties"),
    GlobalAvgPool2D: layer(() => new GlobalAvgPool2D()),
    BatchNorm: layer((given) => new BatchNorm(given), "weight", "bias", "mean", "var", "eps"),
    Scale: layer((given) => new Scale(given), "weight", "bias"),
    Add: layer(() => new Add()),
    ReLU: layer(() => new Elementwise(positive)),
    ReLU6: layer(() => new Elementwise((x) => Math.min(Math.max(x, 0), 6))),
    LeakyReLU: layer(
      ({ negative_slope: slope = 0.01 }) => new Elementwise((x) => (x > 0 ? x : slope * x)),
      "negative_slope",
    ),
    Tanh: layer(() => new Elementwise(Math.tanh)),
    Dropout: layer(() => new Elementwise(identity), "p"),
    Flatten: layer(() => new Flatten()),
  };
  const HEADS = ["Softmax", "LogSoftmax"];

  // ---- networks ----------------------------------------------------------------------------------------------------

  /**
   * A network from data: {nodes: [[name, key of its layer, names it reads], ...], layers: {key: {type, config,
   * arrays}}}, in an order in which it can be computed; the input is called "input". A softmax at the end is left out,
   * because explanations start at the logits.
   */
  function network({ nodes, layers }) {
    const last = nodes.at(-1);
    const headless = HEADS.includes(layers[last[1]].type) ? nodes.slice(0, -1) : nodes;
    const built = new Map();
    for (const [name, key] of headless) if (!built.has(key)) built.set(key, build(name, layers[key]));
    return headless.map(([name, key, inputs]) => ({ name, type: layers[key].type, layer: built.get(key), inputs }));
  }

  function build(name, { type, config, arrays }) {
    if (!Object.hasOwn(LAYERS, type)) throw new NotOffered(`the layer ${type} (node ${name})`);
    const { make, fields } = LAYERS[type];
    const given = { ...config };
    for (const [field, numbers] of Object.entries(arrays)) given[field] = array(numbers);
    for (const [field, value] of Object.entries(given)) {
      const known = fields.includes(field);
      if (value === null || (value === false && !known)) delete given[field];
      else if (!known) throw new NotOffered(`${type} with ${field} (node ${name})`);
    }
    return make(given);
  }

  /** Node name -> its output, for one input array. */
  function forward(net, x) {
    const at = new Map([["input", x]]);
    for (const { name, layer, inputs } of net) at.set(name, layer.forward(inputs.map((i) => at.get(i))));
    return at;
  }

  /** Fold each BatchNorm into the Dense or Conv2D that it alone reads (Guillemot et al. 2020, arXiv 2002.11018). */
  function fuse(net) {
    const layers = new Map(net.map(({ name, layer }) => [name, layer]));
    const reads = (name) => net.filter(({ inputs }) => inputs.includes(name)).length;
    const norms = net.filter(
      ({ type, inputs: [name] }) => type === "BatchNorm" && layers.get(name)?.weighted && reads(name) === 1,
    );
    const before = new Map(norms.map(({ name, inputs }) => [name, inputs[0]]));
    for (const { layer, inputs } of norms) layers.set(inputs[0], folded(layers.get(inputs[0]), layer));
    return net
      .filter(({ name }) => !before.has(name))
      .map(({ name, type, inputs }) => ({
        ...{ name, type, layer: layers.get(name) },
        inputs: inputs.map((i) => before.get(i) ?? i),
      }));
  }

  /** W' = diag(w) W and b' = w b + b_norm, with w and b_norm of the BatchNorm as a diagonal layer. */
  function folded(linear, norm) {
    const w = norm.weight.data;
    const rows = spread(norm.weight, linear.weight.shape);
    const weight = { shape: linear.weight.shape, data: linear.weight.data.map((x, k) => rows[k] * x) };
    const b = w.map((w_j, j) => w_j * (linear.bias ? linear.bias.data[j] : 0) + norm.bias.data[j]);
    return new linear.constructor({ ...linear, weight, bias: { shape: [b.length], data: b } });
  }

  // ---- which layer gets which rule ---------------------------------------------------------------------------------

  /** The weighted layers that are reached from the input through activations and routing layers only. */
  function firstLayers(net) {
    const clear = new Set(["input"]);
    const found = new Set();
    for (const { name, layer, inputs } of net) {
      if (!inputs.every((i) => clear.has(i))) continue;
      if (layer.kind !== "linear") clear.add(name);
      else if (layer.weighted) found.add(name);
    }
    return found;
  }

  // The presets, with the names and defaults of zennit (Anders et al. 2021, arXiv 2106.13200): the rule of
  // convolutions, and that of first layers (`box`: of first convolutions, with the bounds of the input).
  const TINY = { stabilizer: 1e-6 };
  const EPSILON = { type: "Epsilon", epsilon: 1e-6 };
  const PLUS = { type: "ZPlus", ...TINY };
  const ALPHA2_BETA1 = { type: "AlphaBeta", alpha: 2, beta: 1, ...TINY };
  const GAMMA = { type: "Gamma", gamma: 0.25, generalised: true, ...TINY };
  const FLAT = { type: "Flat", ...TINY };
  const PRESETS = {
    "epsilon-plus": { convolution: PLUS },
    "epsilon-plus-flat": { convolution: PLUS, first: FLAT },
    "epsilon-gamma-box": { convolution: GAMMA, box: { type: "ZBox", ...TINY } },
    "epsilon-alpha2-beta1": { convolution: ALPHA2_BETA1 },
    "epsilon-alpha2-beta1-flat": { convolution: ALPHA2_BETA1, first: FLAT },
  };

  /**
   * Node name -> rule, for every linear layer. `rule` is the name of a preset, or a rule: Zero and Epsilon for all
   * linear layers, Relative for all but the Adds, which take Zero, and any other for all weighted layers, with Epsilon
   * for the others. `box` is {low, high} of the input, which some first layer must use.
   */
  function assign(net, rule, box = null) {
    const of = rule.type ? (node) => ofRule(rule, node) : ofPreset(rule, box, firstLayers(net));
    const linear = net.filter(({ layer }) => layer.kind === "linear");
    return Object.fromEntries(linear.map((node) => [node.name, of(node)]));
  }

  function ofRule(rule, { name, type, layer }) {
    if (rule.type === "Relative" && type === "Add") return { type: "Zero" };
    if (rule.type === "Relative" && type === "BatchNorm")
      throw new NotOffered(`Relative LRP on a BatchNorm (node ${name}), which must be folded first`);
    return layer.weighted || ["Zero", "Epsilon", "Relative"].includes(rule.type) ? rule : EPSILON;
  }

  function ofPreset(preset, bounds, firsts) {
    if (!Object.hasOwn(PRESETS, preset)) throw new NotOffered(`the preset ${preset}`);
    const { convolution, first, box } = PRESETS[preset];
    if (box && !firsts.size) throw new NotOffered(`${preset} on a network without a first layer for its box`);
    if (box && !bounds) throw new NotOffered(`${preset} without the bounds of its box`);
    return ({ name, layer }) => {
      if (first && firsts.has(name)) return first;
      if (layer.convolution) return box && firsts.has(name) ? { ...box, ...bounds } : convolution;
      return layer.diagonal ? { type: "Pass" } : EPSILON;
    };
  }

  // ---- the walk ----------------------------------------------------------------------------------------------------

  /** The relevance at the output: an array, or "logit", "one", "probability" or a number at the index `target`. */
  function seedAt(logits, seed, target) {
    if (seed.data) return { shape: logits.shape, data: seed.data };
    if (!(target in logits.data)) throw new NotOffered(`the target ${target} of ${logits.data.length} outputs`);
    const named = { logit: () => logits.data[target], one: () => 1, probability: () => softmax(logits.data)[target] };
    if (!Object.hasOwn(named, seed) && !Number.isFinite(seed)) throw new NotOffered(`the seed ${seed}`);
    const R = zeros(logits.shape);
    R.data[target] = named[seed]?.() ?? seed;
    return R;
  }

  /**
   * Explain the output of a network for the input x: forward once, then backward through the nodes, each layer and its
   * rule dividing the relevance of its output among its inputs (Bach et al. 2015).
   *
   * Returns the `relevance` of the input, `at` (node name -> relevance of its output), the `logits`, and the `ledger`:
   * for each linear layer and each other layer that received relevance, what came `out` of it, went `in`, and was lost.
   */
  function trace(net, x, rules, { seed = "logit", target = null } = {}) {
    const values = forward(net, x);
    const { name: last } = net.at(-1);
    const logits = values.get(last);
    const explained = target ?? logits.data.indexOf(Math.max(...logits.data));
    const at = new Map([[last, seedAt(logits, seed, explained)]]);
    const ledger = [];
    for (const { name, layer, inputs } of [...net].reverse()) {
      const R = at.get(name);
      if (!R) continue; // the output does not depend on this node
      const a = inputs.map((i) => values.get(i));
      const rule = rules[name];
      const { inputs: passed, losses } =
        layer.kind === "linear" ? flow(layer, a, R, rule) : { inputs: layer.route(a, R), losses: NOTHING };
      const into = sum(passed.map((R_in) => sum(R_in.data)));
      ledger.push({ node: name, rule: rule ? rule.type : "", out: sum(R.data), in: into, ...losses });
      inputs.forEach((i, n) => {
        const had = at.get(i);
        at.set(i, had ? { shape: had.shape, data: had.data.map((R_i, k) => R_i + passed[n].data[k]) } : passed[n]);
      });
    }
    return { relevance: at.get("input") ?? zeros(x.shape), at, logits, target: explained, ledger };
  }

  return {
    ...{ NotOffered, PARAMETERS, PRESETS, LAYERS, HEADS, Dense },
    ...{ array, nested, zeros, sum, softmax, flow, network, forward, fuse, assign, trace },
  };
})();

if (typeof module !== "undefined") module.exports = LRP;
