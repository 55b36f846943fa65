// The rules once more, for one unit and in exact fractions: each message R_{i<-j} as the papers print it, and the
// working that leads to it. Nothing here is shared with lrp.js, so that a test can compare the two.
"use strict";

const EXACT = (() => {
  const gcd = (a, b) => {
    while (b) [a, b] = [b, a % b];
    return a < 0n ? -a : a;
  };

  /** A fraction of two BigInts in lowest terms, with a positive denominator. */
  class Fraction {
    constructor(above, below = 1n) {
      const divisor = (gcd(above, below) || 1n) * (below < 0n ? -1n : 1n);
      this.above = above / divisor;
      this.below = below / divisor;
      Object.freeze(this);
    }
    /** The number that a text such as "3", "-0.25" or "1/3" means, of up to nine digits each; null if it means none. */
    static parse(text) {
      const number = /^\s*([-−+]?)(\d{0,9})(?:\.(\d{0,9})|\s*\/\s*(\d{1,9}))?\s*$/.exec(text);
      const [, sign, whole, decimals = "", below = "1"] = number ?? [];
      if (number === null || whole + decimals === "" || BigInt(below) === 0n) return null;
      const above = BigInt(whole + decimals) * (sign === "" || sign === "+" ? 1n : -1n);
      return new Fraction(above, BigInt(below) * 10n ** BigInt(decimals.length));
    }
    plus = (other) => new Fraction(this.above * other.below + other.above * this.below, this.below * other.below);
    times = (other) => new Fraction(this.above * other.above, this.below * other.below);
    over = (other) => new Fraction(this.above * other.below, this.below * other.above);
    minus = (other) => this.plus(other.times(new Fraction(-1n)));
    get sign() {
      return this.above > 0n ? 1 : this.above < 0n ? -1 : 0;
    }
    get number() {
      return Number(this.above) / Number(this.below);
    }
    toString() {
      const text = `${this.above}${this.below === 1n ? "" : `/${this.below}`}`;
      return text.replace("-", "−");
    }
  }

  const ZERO = new Fraction(0n);
  const ONE = new Fraction(1n);
  const up = (x) => (x.sign > 0 ? x : ZERO);
  const down = (x) => (x.sign < 0 ? x : ZERO);
  const magnitude = (x) => (x.sign < 0 ? ZERO.minus(x) : x);
  const total = (parts) => parts.reduce((sum, x) => sum.plus(x), ZERO);

  /** One portion: `coefficient` times the numerator of each input, over one denominator. */
  const portion = (above, below, coefficient = ONE) => ({ above, below, coefficient });

  /** What unit j sends to input i, as a paper writes it; (.)+ and (.)- are the positive and the negative part. */
  const FORMULAS = {
    Zero: "aᵢ wᵢⱼ / zⱼ · Rⱼ",
    Epsilon: "aᵢ wᵢⱼ / (zⱼ + ε sign zⱼ) · Rⱼ",
    Gamma: "aᵢ (wᵢⱼ + γ wᵢⱼ⁺) / (Σᵢ aᵢ (wᵢⱼ + γ wᵢⱼ⁺) + bⱼ + γ bⱼ⁺) · Rⱼ",
    AlphaBeta: "(α (aᵢ wᵢⱼ)⁺ / (Σᵢ (aᵢ wᵢⱼ)⁺ + bⱼ⁺) − β (aᵢ wᵢⱼ)⁻ / (Σᵢ (aᵢ wᵢⱼ)⁻ + bⱼ⁻)) · Rⱼ",
    ZPlus: "(aᵢ wᵢⱼ)⁺ / (Σᵢ (aᵢ wᵢⱼ)⁺ + bⱼ⁺) · Rⱼ",
    ZBox: "(aᵢ wᵢⱼ − l wᵢⱼ⁺ − h wᵢⱼ⁻) / Σᵢ (aᵢ wᵢⱼ − l wᵢⱼ⁺ − h wᵢⱼ⁻) · Rⱼ",
    WSquare: "wᵢⱼ² / Σᵢ wᵢⱼ² · Rⱼ",
    Flat: "1 / nⱼ · Rⱼ",
    Absolute: "|aᵢ wᵢⱼ| / (Σᵢ |aᵢ wᵢⱼ| + |bⱼ|) · Rⱼ",
    Relative: "sgn(zⱼ) aᵢ wᵢⱼ / n · Rⱼ",
  };

  // Each rule as portions of one unit's relevance: inputs a, weights w, contributions c = a w, bias b, z = sum c + b.
  const LITERAL = {
    Zero: ({ c, z }) => [portion(c, z)],
    Epsilon: ({ c, z, epsilon }) => [portion(c, z.sign >= 0 ? z.plus(epsilon) : z.minus(epsilon))],
    Gamma: ({ a, w, b, gamma }) => {
      const favoured = (x) => x.plus(gamma.times(up(x)));
      const above = a.map((a_i, i) => a_i.times(favoured(w[i])));
      return [portion(above, total(above).plus(favoured(b)))];
    },
    AlphaBeta: ({ c, b, alpha, beta }) => [
      portion(c.map(up), total(c.map(up)).plus(up(b)), alpha),
      portion(c.map(down), total(c.map(down)).plus(down(b)), ZERO.minus(beta)),
    ],
    ZPlus: ({ c, b }) => [portion(c.map(up), total(c.map(up)).plus(up(b)))],
    ZBox: ({ c, w, low, high }) => {
      const above = c.map((c_i, i) => c_i.minus(low.times(up(w[i]))).minus(high.times(down(w[i]))));
      return [portion(above, total(above))];
    },
    WSquare: ({ w }) => {
      const above = w.map((w_i) => w_i.times(w_i));
      return [portion(above, total(above))];
    },
    Flat: ({ w }) => [
      portion(
        w.map(() => ONE),
        new Fraction(BigInt(w.length)),
      ),
    ],
    Absolute: ({ c, b }) => [portion(c.map(magnitude), total(c.map(magnitude)).plus(magnitude(b)))],
    // the reading "bare"; n is the number of inputs, and sgn(0) = +1
    Relative: ({ c, z }) => [portion(c, new Fraction(BigInt(c.length)), z.sign >= 0 ? ONE : ZERO.minus(ONE))],
  };

  /**
   * The messages of one unit: for inputs a and weights w (lists of fractions), bias b and relevance R, under a rule
   * {type, ...parameters}, all fractions. A portion whose denominator is zero passes nothing on.
   *
   * Returns, for each input, {value, working}: the message, and the text that leads to it.
   */
  function messages(rule, a, w, b, R) {
    const c = a.map((a_i, i) => a_i.times(w[i]));
    const portions = LITERAL[rule.type]({ ...rule, a, w, b, c, z: total(c).plus(b) });
    return a.map((_, i) => {
      const parts = portions.map(({ above, below, coefficient }) =>
        below.sign === 0 ? ZERO : coefficient.times(above[i]).over(below),
      );
      const texts = portions.map(({ above, below, coefficient }) => {
        const factor = coefficient === ONE ? "" : `${bracketed(coefficient)} · `;
        return below.sign === 0 ? "0 (its denominator is 0)" : `${factor}${bracketed(above[i])} / ${bracketed(below)}`;
      });
      const value = total(parts).times(R);
      const sum = texts.length > 1 ? `(${texts.join(" + ")})` : texts[0];
      return { value, working: `${sum} · ${bracketed(R)} = ${value}` };
    });
  }

  const bracketed = (x) => (x.sign < 0 || x.below !== 1n ? `(${x})` : `${x}`);

  /**
   * The factor by which Relative LRP rescales the messages of a layer: kappa = (sum_j |R_j|) / (sum_i |R_i|), where R_i
   * is the sum of the messages to input i; zero if nothing flows.
   */
  function kappa(R_out, R_in) {
    const [received, size] = [R_out, R_in].map((parts) => total(parts.map(magnitude)));
    return size.sign === 0 ? ZERO : received.over(size);
  }

  return { Fraction, FORMULAS, messages, kappa };
})();

if (typeof module !== "undefined") module.exports = EXACT;
