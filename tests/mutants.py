"""Deliberate mistakes: a test must notice each of them. `python -m tests.mutants` prints the table.

Most of them are real: found in the source or on the issue tracker of an LRP library, or in a tutorial, and attributed
to it. tests/test_mutants.py makes each of them in a copy of the package and requires its test to fail.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    name    what is wrong
    file    the file to change, relative to lrpref/
    old     the text to replace: it occurs in the file exactly once
    new     its replacement
    killer  the test that must fail, as pytest names it
    origin  where the mistake was made
    """

    name: str
    file: str
    old: str
    new: str
    killer: str
    origin: str


def case(name: str) -> str:
    """The test of a case with an expected map, by its id."""
    return f"tests/test_cases.py::test_relevance[{name}]"


def relation(name: str) -> str:
    """The test of a case with a relation that must hold, by its id."""
    return f"tests/test_cases.py::test_relation[{name}]"


STABILIZER = [
    Mutant(
        "stabilizer without a sign",
        "engine.py",
        "where(z >= 0, z + epsilon, z - epsilon)",
        "where(z >= 0, z + epsilon, z + epsilon)",
        case("eps-negative-z-below"),
        "LXT and the lrp-tutorial: a pole at z = -epsilon",
    ),
    Mutant(
        "stabilizer towards zero",
        "engine.py",
        "where(z >= 0, z + epsilon, z - epsilon)",
        "where(z >= 0, z - epsilon, z + epsilon)",
        case("eps-negative-z-positive"),
        "a slip of the pen",
    ),
    Mutant(
        "sign(0) = -1",
        "engine.py",
        "where(z >= 0, z + epsilon, z - epsilon)",
        "where(z > 0, z + epsilon, z - epsilon)",
        case("eps-sign-zero-tenth"),
        "TorchLRP: (-10, 10) for (10, -10)",
    ),
    Mutant(
        "epsilon dropped",
        "engine.py",
        "denominator = self.stabilize(d)",
        "denominator = d",
        case("eps-negative-z-below"),
        "zennit's BasicHook documents a stabilizer that it never uses",
    ),
    Mutant(
        "epsilon scaled by the whole batch",
        "rules.py",
        "axes = tuple(range(1, z.ndim))",
        "axes = tuple(range(z.ndim))",
        relation("batch-independence"),
        "the lrp-tutorial's increment: .1 rms over the whole array",
    ),
    Mutant(
        "NaN where nothing flows",
        "engine.py",
        "zero = z == 0",
        "zero = z != z",
        case("ab-all-zero-zero"),
        "lrp_toolbox, slow path (lrp_toolbox#19)",
    ),
]

ENGINE = [
    Mutant(
        "relevance squared",
        "engine.py",
        "[constant(ratio.coefficient, like=R) * R for",
        "[constant(ratio.coefficient, like=R) * R * R for",
        case("ab-bias-mode-keep"),
        "lrp_toolbox, sumpool.py: the beta term is multiplied by R twice",
    ),
    Mutant(
        "bias forgotten",
        "engine.py",
        "return z + bias, bias",
        "return z, bias",
        case("ab-bias-mode-keep"),
        "interprettensor#2: fully connected layers used it, convolutions did not; TorchLRP in alpha-beta",
    ),
    Mutant(
        "a term's sign forgotten",
        "engine.py",
        "R_i + term.of_input(a) * c_i",
        "R_i + term.a(a) * c_i",
        case("zbox-closed-bias-none"),
        "a slip of the pen",
    ),
    Mutant(
        "the last term overwrites the others",
        "engine.py",
        "[R_i + term.of_input(a) * c_i for",
        "[0 * R_i + term.of_input(a) * c_i for",
        case("ab-joint-denominator-dense"),
        "a slip of the pen",
    ),
    Mutant(
        "bias not booked",
        "engine.py",
        'losses["bias"] += sum_per_sample(s * b_z)',
        'losses["bias"] += sum_per_sample(0 * s * b_z)',
        "tests/test_ledger.py::test_zero_rule_books_the_bias",
        "innvestigate#116, #117: absorption by biases taken for a bug",
    ),
    Mutant(
        "stabilizer booked with the wrong sign",
        "engine.py",
        "sum_per_sample(s * (denominator - d))",
        "sum_per_sample(s * (d - denominator))",
        "tests/test_ledger.py::test_epsilon_books_bias_and_stabilizer",
        "a slip of the pen",
    ),
    Mutant(
        "what a zero denominator withholds is not booked",
        "engine.py",
        "where(denominator == 0, R_ratio, 0 * R_ratio)",
        "where(denominator == 0, 0 * R_ratio, 0 * R_ratio)",
        "tests/test_ledger.py::test_a_denominator_of_zero_is_booked_under_dropped",
        "lrp_toolbox#19: relevance lost in silence",
    ),
    Mutant(
        "the books always close",
        "ledger.py",
        'return self.columns["out"] - self.columns["in"] - sum(self.columns[loss] for loss in LOSSES)',
        'return 0 * (self.columns["out"] - self.columns["in"] - sum(self.columns[loss] for loss in LOSSES))',
        "tests/test_ledger.py::test_the_residual_is_a_check_and_no_identity",
        "a check that cannot fail",
    ),
]

RULES = [
    Mutant(
        "alpha and beta swapped",
        "rules.py",
        "Term(negative, negative)), self.alpha),",
        "Term(negative, negative)), self.beta),",
        case("ab-shared-fixture-alpha2beta1"),
        "a slip of the pen",
    ),
    Mutant(
        "only the weights are clamped",
        "rules.py",
        "Ratio((Term(positive, positive, positive if keep else None), Term(negative, negative)), self.alpha)",
        "Ratio((Term(w=positive, b=(lambda b: b) if keep else None),), self.alpha)",
        case("ab-neg-input"),
        "captum 0.9.0 (captum#1234), BERT-LRP#4",
    ),
    Mutant(
        "z-plus clamps the weights alone",
        "rules.py",
        "return (Ratio((Term(positive, positive, positive), Term(negative, negative))),)",
        "return (Ratio((Term(w=positive, b=positive),)),)",
        case("ab-neg-input-zplus"),
        "captum 0.9.0 (captum#1234)",
    ),
    Mutant(
        "both biases in both pools",
        "rules.py",
        """positive if keep else None), Term(negative, negative)), self.alpha),
            Ratio((Term(positive, negative, negative if keep else None)""",
        """(lambda b: b) if keep else None), Term(negative, negative)), self.alpha),
            Ratio((Term(positive, negative, (lambda b: b) if keep else None)""",
        case("ab-bias-mode-positive-bias"),
        "iNNvestigate (innvestigate#273)",
    ),
    Mutant(
        "a negative bias in the positive pool",
        "rules.py",
        "positive if keep else None), Term(negative, negative)",
        "(lambda b: b) if keep else None), Term(negative, negative)",
        case("ab-neg-bias"),
        "captum 0.9.0: relevance doubled",
    ),
    Mutant(
        "two denominators where there is one",
        "rules.py",
        "Ratio((Term(positive, positive, positive if keep else None), Term(negative, negative)), self.alpha)",
        "Ratio((Term(positive, positive, positive if keep else None),), self.alpha), "
        "Ratio((Term(negative, negative),), self.alpha)",
        case("ab-joint-denominator-conv"),
        "Transformer-Explainability#55 and RAP: mixed signs double the sum",
    ),
    Mutant(
        "gamma multiplies by w twice",
        "rules.py",
        "x + constant(self.gamma, like=x) * part(x)",
        "x + constant(self.gamma, like=x) * x * part(x)",
        case("gamma-linear"),
        "TorchLRP: w + gamma w w+",
    ),
    Mutant(
        "gamma leaves the bias as it is",
        "rules.py",
        "return (Ratio((Term(w=up, b=up),)),)",
        "return (Ratio((Term(w=up, b=lambda b: b),)),)",
        case("gamma-bias"),
        "captum: (1, -1/4), a different convention",
    ),
    Mutant(
        "gamma drops relevance at z = 0",
        "rules.py",
        "return [xp.where(z >= 0, R, 0 * R), xp.where(z >= 0, 0 * R, R)]",
        "return [xp.where(z > 0, R, 0 * R), xp.where(z < 0, R, 0 * R)]",
        case("gamma-z-zero-generalised"),
        "zennit and RelevancePropagation.jl choose by z > 0 and z < 0",
    ),
    Mutant(
        "gamma in its plain form for z < 0",
        "rules.py",
        "return [xp.where(z >= 0, R, 0 * R), xp.where(z >= 0, 0 * R, R)]",
        "return [R, 0 * R]",
        case("gamma-negative-z-negative"),
        "captum has no generalised form",
    ),
    Mutant(
        "w-square with the bias in the denominator",
        "rules.py",
        "return (Ratio((Term(one, square),)),)",
        "return (Ratio((Term(one, square, square),)),)",
        case("wsquare-bias"),
        "zennit: (1/14, 4/14)",
    ),
    Mutant(
        "flat with a bias",
        "rules.py",
        "return (Ratio((Term(one, one),)),)",
        "return (Ratio((Term(one, one, one),)),)",
        case("flat-padding-corner"),
        "zennit before PR 102",
    ),
    Mutant(
        "z-box with its bounds swapped",
        "rules.py",
        "low, high = bound(self.low), bound(self.high)",
        "high, low = bound(self.low), bound(self.high)",
        case("zbox-closed-bias-none"),
        "a slip of the pen",
    ),
    Mutant(
        "z-box with a bias in one of its passes",
        "rules.py",
        "Term(lambda a: a - low(a), positive)",
        "Term(lambda a: a - low(a), positive, identity)",
        case("zbox-closed-bias-7"),
        "innvestigate#327 reports the loss",
    ),
]

LAYERS = [
    Mutant(
        "weight transposed in the adjoint",
        "layers/dense.py",
        "return s @ w\n",
        "return s @ w.T\n",
        case("eps-absorption-two-units"),
        "a slip of the pen; silent where weights are square",
    ),
    Mutant(
        "groups mixed up",
        "layers/conv.py",
        "xp.reshape(a[cells], (N, G, w.shape[2], H * W))",
        "xp.reshape(a[cells], (N, w.shape[2], G, H * W)).swapaxes(1, 2)",
        case("unrolled-oracle-conv-groups-zero"),
        "zennit#63: grouped and transposed layers scaled along the wrong axis",
    ),
    Mutant(
        "rows and columns mixed up",
        "layers/window.py",
        "starts = (i * self.dilation[0], j * self.dilation[1])",
        "starts = (j * self.dilation[0], i * self.dilation[1])",
        case("unrolled-oracle-conv-zero"),
        "a slip of the pen",
    ),
    Mutant(
        "dilation forgotten",
        "layers/window.py",
        "starts = (i * self.dilation[0], j * self.dilation[1])",
        "starts = (i, j)",
        case("unrolled-oracle-conv-dilation-zero"),
        "a slip of the pen",
    ),
    Mutant(
        "padding counts as inputs",
        "layers/conv.py",
        "a = pad(a, self.window.padding)\n",
        "a = pad(a, self.window.padding, 1)\n",
        case("flat-padding-corner"),
        "related: zennit#154, constant padding absorbs relevance",
    ),
    Mutant(
        "what fell on padding lands on the image",
        "layers/window.py",
        "return x[:, :, top : H - bottom, left : W - right]",
        "return x[:, :, : H - bottom - top, : W - right - left]",
        case("flat-padding-edge"),
        "a slip of the pen",
    ),
    Mutant(
        "what fell on explicit padding is not booked",
        "layers/shape.py",
        '{"bias": sum_per_sample(border * R)}',
        '{"bias": sum_per_sample(0 * border * R)}',
        "tests/test_ledger.py::test_what_falls_on_explicit_padding_is_booked_as_bias",
        "zennit#154",
    ),
    Mutant(
        "every tie wins",
        "layers/pool.py",
        "free = free & ~wins",
        "free = free | wins",
        case("maxpool-ties-first"),
        "lrp_toolbox before it split ties (lrp_toolbox#5)",
    ),
    Mutant(
        "overlapping windows overwritten, not added",
        "layers/pool.py",
        "R_a[cells] += xp.where(wins",
        "R_a[cells] = xp.where(wins",
        case("maxpool-overlap-first"),
        "tangermeme PR 95",
    ),
    Mutant(
        "padding may win",
        "layers/pool.py",
        "real & (~seen | larger)",
        "~seen | larger",
        case("maxpool-padding-never-wins"),
        "a slip of the pen",
    ),
    Mutant(
        "padding counts in the mean when it should not",
        "layers/pool.py",
        "if self.count_include_pad:",
        "if True:",
        case("avgpool-pad-not-counted"),
        "a slip of the pen",
    ),
    Mutant(
        "BatchNorm without its epsilon",
        "layers/norm.py",
        'self.var + constant(self.eps, like=self.var), "BatchNorm"',
        'self.var, "BatchNorm"',
        relation("bn-fuse-forward-dense"),
        "RelevancePropagation.jl, canonize.jl: 3 times too large at a variance of 1e-6",
    ),
    Mutant(
        "softmax without the shift",
        "layers/head.py",
        'irrational("exp", x - xp.max(x, axis=1, keepdims=True), "Softmax")',
        'irrational("exp", x, "Softmax")',
        "tests/test_walk.py::test_logits_far_from_zero_stay_finite",
        "lrp_toolbox: logits of 1000 give NaN",
    ),
    Mutant(
        "a skip sends all of R to both branches",
        "layers/join.py",
        '''    def fan_in(self, *shapes: Shape) -> int:
        """The number of branches."""''',
        '''    def flow(self, inputs, R, rule):
        from ..ledger import Flow
        return Flow(tuple(R for _ in inputs))

    def fan_in(self, *shapes: Shape) -> int:
        """The number of branches."""''',
        case("add-conservation-0"),
        "a plain + in zennit (sum 2 for seed 1) and captum (33 for 13)",
    ),
]

WALK = [
    Mutant(
        "of several consumers the last one counts",
        "walk.py",
        "at[i] = at[i] + R_i if i in at else R_i",
        "at[i] = R_i",
        "tests/test_walk.py::test_what_several_consumers_send_is_added_up",
        "DenseNet and ResNet by hand: the most repeated question on the trackers",
    ),
    Mutant(
        "a sigmoid is explained itself: every sign turns where p < 1/2",
        "network.py",
        "if type(node.layer) is Sigmoid:",
        "if False:",
        "tests/test_walk.py::test_explanations_start_before_the_head[sigmoid]",
        "multi-label heads",
    ),
    Mutant(
        "1 - p is explained as p",
        "network.py",
        "layer = replace(node.layer, bias=None)",
        "layer = Dropout()",
        "tests/test_walk.py::test_a_binary_classifier_with_two_columns",
        "scikit-learn's binary classifiers, exported by skl2onnx",
    ),
    Mutant(
        "the probability of a sigmoid is a softmax",
        "network.py",
        "return _Split(Sigmoid(), logits,",
        "return _Split(Softmax(), logits,",
        "tests/test_walk.py::test_the_probability_is_the_heads_own[sigmoid]",
        "multi-label heads",
    ),
    Mutant(
        "a bare LRP-0 leaves joins and pools to epsilon",
        "composites.py",
        "LinearLayer if type(rule) in (Zero, Epsilon) else WeightedLayer",
        "WeightedLayer",
        "tests/test_walk.py::test_bare_zero_sums_to_the_logit_exactly",
        "LRP-0 is gradient times input (Shrikumar et al. 2016)",
    ),
    Mutant(
        "a box behind a Scale is silently lost",
        "composites.py",
        "if boxes and unused and found",
        "if False and found",
        "tests/test_composites.py::test_a_box_that_no_layer_uses_is_refused",
        "models that normalise their own input",
    ),
    Mutant(
        "the explanation starts behind the softmax",
        "network.py",
        "if isinstance(last.layer, Head):",
        "if False:",
        case("head-and-seed-logit"),
        "lrp_toolbox#5, innvestigate#112",
    ),
    Mutant(
        "the seed is one, whatever was asked",
        "seeds.py",
        'if given == "logit":\n        values = logits\n',
        'if given == "logit":\n        values = ones_like(logits)\n',
        relation("head-and-seed-factors"),
        "captum: its docs say the sum is one, its code multiplies by the output",
    ),
    Mutant(
        "the last match wins",
        "composites.py",
        "for selector, rule in self.pairs:\n            if matches(selector, place, names):",
        "for selector, rule in reversed(self.pairs):\n            if matches(selector, place, names):",
        "tests/test_composites.py::test_the_first_match_wins",
        "a slip of the pen",
    ),
    Mutant(
        "files may hold Python objects",
        "weights/npz.py",
        'not in "fiubU"',
        'not in "fiubUO"',
        "tests/test_weights.py::test_object_arrays_are_refused_and_never_unpickled",
        "numpy.load(allow_pickle=True)",
    ),
]

FUSION = [
    Mutant(
        "the linear layer's bias is not scaled",
        "fusion.py",
        "bias = b if layer.bias is None else w * layer.bias + b",
        "bias = b if layer.bias is None else layer.bias + b",
        relation("bn-fuse-forward-dense"),
        "a slip of the pen",
    ),
    Mutant(
        "one number for the shift at a padded border",
        "fusion.py",
        "if any(layer.window.padding):",
        "if False:",
        relation("bn-conv-pad"),
        "the scalar fold: .158 off in a 4 x 4 image (zennit PR 171)",
    ),
    Mutant(
        "folded across an activation",
        "fusion.py",
        "if type(here.layer) is not Dropout:",
        "if not isinstance(here.layer, Dropout | ReLU):",
        relation("bn-no-fuse-across-activation"),
        "zennit with a functional relu: the model's output changes",
    ),
    Mutant(
        "a negative gamma cuts on the wrong side",
        "fusion.py",
        "below=w < 0",
        "below=w > 0",
        relation("bn-relu-conv-threshrelu-negative"),
        "a slip of the pen",
    ),
]

BLOCKS = [
    Mutant(
        "every block is the first",
        "scale/blocks.py",
        "cut = values[i:j, ...]",
        "cut = values[: j - i, ...]",
        "tests/test_blocks.py::test_targets_stay_with_their_samples",
        "a slip of the pen",
    ),
    Mutant(
        "a file is written where it will be read",
        "_support/files.py",
        'part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")',
        "part = path",
        "tests/test_blocks.py::test_a_file_is_written_whole_or_not_at_all",
        "what numpy.save does: a half-written file looks like a whole one",
    ),
    Mutant(
        "targets are checked block by block",
        "seeds.py",
        "_indices(target, logits)\n",
        "pass\n",
        "tests/test_blocks.py::test_what_is_refused",
        "hours are lost to the target of the last sample",
    ),
    Mutant(
        "every worker writes to the top of the file",
        "scale/distributed.py",
        "file[place] = to_numpy(block)",
        "file[: len(block)] = to_numpy(block)",
        "tests/test_distributed.py::test_into_one_npy_file",
        "a slip of the pen",
    ),
]


ZOO = [
    Mutant(
        "VGG's BatchNorm after its ReLU",
        "zoo/models/vgg.py",
        """            at = plan.norm(name(), at) if batch_norm else at
            at = plan.relu(name(), at)
""",
        """            at = plan.relu(name(), at)
            at = plan.norm(name(), at) if batch_norm else at
""",
        "tests/test_models.py::test_vgg_is_numbered_as_in_torchvision[vgg16-True-convolutions1]",
        "many a tutorial",
    ),
    Mutant(
        "a bottleneck halves the image in its first 1 x 1",
        "zoo/models/resnet.py",
        """plan.conv(f"{name}.conv1", at, inner, 1)))
    path = plan.relu(f"{name}.relu2", plan.norm(f"{name}.bn2", plan.conv(f"{name}.conv2", path, inner, 3, stride)))""",
        """plan.conv(f"{name}.conv1", at, inner, 1, stride)))
    path = plan.relu(f"{name}.relu2", plan.norm(f"{name}.bn2", plan.conv(f"{name}.conv2", path, inner, 3)))""",
        "tests/test_models.py::test_shapes_at_full_size",
        "Keras and the paper; torchvision's weights are for the other form",
    ),
    Mutant(
        "shortcut A puts its zeros first",
        "zoo/models/resnet.py",
        "Concat(), cells, none)",
        "Concat(), none, cells)",
        "tests/test_resnet20.py::test_it_is_what_it_says_along_the_shortcut[A]",
        "a slip of the pen",
    ),
    Mutant(
        "random weights half as large",
        "zoo/models/blueprint.py",
        "(2 / layer.fan_in()) ** 0.5",
        "(1 / layer.fan_in()) ** 0.5",
        "tests/test_models.py::test_random_weights_have_the_variance_of_he_et_al",
        "Glorot's variance where He's was meant",
    ),
    Mutant(
        "blue comes first",
        "zoo/samples/__init__.py",
        "np.moveaxis(pixels, -1, 0)",
        "np.moveaxis(pixels[..., ::-1], -1, 0)",
        "tests/test_samples.py::test_the_photograph_has_the_size_that_is_asked_for[shape0]",
        "OpenCV's order",
    ),
    Mutant(
        "std multiplies",
        "zoo/inputs.py",
        "(pixels - self._shaped(self.mean, pixels)) / self",
        "(pixels - self._shaped(self.mean, pixels)) * self",
        "tests/test_inputs.py::test_samples_and_images_are_normalised",
        "a slip of the pen",
    ),
    Mutant(
        "inverted after it was normalised",
        "zoo/inputs.py",
        """    pixels = 1 - pixels if invert else pixels
    return pixels if normalisation is None else normalisation.apply(pixels)""",
        """    pixels = pixels if normalisation is None else normalisation.apply(pixels)
    return 1 - pixels if invert else pixels""",
        "tests/test_inputs.py::test_inverting_comes_before_normalising",
        "a slip of the pen",
    ),
]


JUDGES = [
    Mutant(
        "a NaN agrees with everything",
        "testing/laws.py",
        "(got == expected) | (abs(got - expected) <= self.allowed)",
        "(got == expected) | ~(abs(got - expected) > self.allowed)",
        "tests/test_testing.py::test_a_nan_and_another_shape_never_agree",
        "comparisons with NaN are false, so that `if difference > tolerance` finds nothing",
    ),
    Mutant(
        "linearity compared with itself",
        "testing/laws.py",
        "apart = _combined((3, 1), explain(x, R), explain(x, S))",
        "apart = explain(x, 3 * R + S)",
        "tests/test_testing.py::test_a_law_is_told_with_its_equation_and_both_sides",
        "einops' cross-backend check and DeZero's gradient_check: tests that cannot fail",
    ),
    Mutant(
        "what must not change is not copied",
        "testing/laws.py",
        "np.array(to_numpy(a)) for name, a in",
        "np.asarray(to_numpy(a)) for name, a in",
        "tests/test_testing.py::test_an_argument_that_is_written_on_is_named",
        "a slip of the pen",
    ),
    Mutant(
        "cases are not made smaller",
        "testing/search.py",
        "return case if found is None else _reduced(found, condition)",
        "return case",
        "tests/test_testing.py::test_a_planted_error_is_found_and_its_case_is_small[NoSign]",
        "a slip of the pen",
    ),
    Mutant(
        "a rule is held to itself",
        "testing/laws.py",
        "sent = messages(layer, x, R, rule)",
        "sent = explain(x, R)",
        "tests/test_testing.py::test_a_planted_error_is_found_and_its_case_is_small[Clamped]",
        "references frozen from a library's own output (iNNvestigate, RelevancePropagation.jl)",
    ),
]


IMPORTERS = [
    Mutant(
        "a reader of ONNX that forgets the order of flattened channels-last features",
        "importers/layout.py",
        "weight[..., np.argsort(self.order)]",
        "weight",
        "tests/test_import_onnx.py::test_transpositions_add_up",
        "converters from TensorFlow",
    ),
    Mutant(
        "the order of features turned the wrong way round",
        "importers/layout.py",
        "weight[..., np.argsort(self.order)]",
        "weight[..., self.order]",
        "tests/test_import_onnx.py::test_transpositions_add_up",
        "a slip of the pen",
    ),
    Mutant(
        "SAME_LOWER as SAME_UPPER",
        "importers/onnx_operations.py",
        'if same == "SAME_UPPER" else (more, less)',
        'if same == "SAME_UPPER" else (less, more)',
        "tests/test_import_onnx.py::test_windows_of_all_geometries",
        "a slip of the pen",
    ),
    Mutant(
        "a constant becomes the bias of a layer that others read too",
        "importers/onnx.py",
        "if len(layers) == 1 and self.readers[source] == 1:",
        "if len(layers) == 1:",
        "tests/test_import_onnx.py::test_a_constant_becomes_the_bias_only_of_what_is_read_by_nothing_else",
        "peephole optimisers",
    ),
    Mutant(
        "no proof",
        "importers/graph.py",
        "if not difference <= TOLERANCE:",
        "if False:",
        "tests/test_import_onnx.py::test_the_proof_refuses_a_network_that_is_wrong",
        "importers that never check their result",
    ),
    Mutant(
        "auto_pad with a stride said to be the same at every size",
        "importers/onnx_operations.py",
        "if any(k > 1 and s > 1 for _, k, s, _ in sizes):",
        "if any(k > 1 and s > 3 for _, k, s, _ in sizes):",
        "tests/test_import_onnx.py::test_a_network_is_held_to_the_size_that_it_was_computed_for",
        "found in lrpref 0.2.0",
    ),
    Mutant(
        "padding that the file computes from the size taken for a constant",
        "importers/onnx.py",
        'if node.op_type == "Shape" or self.sized.intersection(node.input):',
        'if node.op_type == "Shape":',
        "tests/test_import_onnx.py::test_padding_that_the_file_computes_from_the_size",
        "found in lrpref 0.2.0",
    ),
    Mutant(
        "no proof at a second size",
        "importers/graph.py",
        "            prove(other)\n",
        "            pass\n",
        "tests/test_import_onnx.py::test_a_network_is_held_to_the_size_that_it_was_computed_for",
        "found in lrpref 0.2.0",
    ),
    Mutant(
        "a network that forgets its input shape when a layer is replaced",
        "network.py",
        "return self.with_nodes([node._replace(layer=layer) if node.name == name else node for node in self.nodes])",
        "return Network([node._replace(layer=layer) if node.name == name else node for node in self.nodes])",
        "tests/test_network.py::test_the_input_shape_is_kept_by_every_edit",
        "a slip of the pen",
    ),
    Mutant(
        "an input shape that files forget",
        "weights/npz.py",
        "{} if net.input_shape is None else",
        "{} if True else",
        "tests/test_weights.py::test_the_input_shape_that_a_network_is_valid_for_comes_back",
        "a slip of the pen",
    ),
    Mutant(
        "a variance below zero refused although the root exists",
        "layers/norm.py",
        "if not bool(array_namespace(self.var).all(under_root > 0)):",
        "if not bool(array_namespace(self.var).all((under_root > 0) & (self.var >= 0))):",
        "tests/test_layers.py::test_batch_norm_is_its_formula",
        "found in lrpref 0.2.0",
    ),
    Mutant(
        "a softmax of old opsets over one axis",
        "importers/onnx_operations.py",
        "over = [axis] if call.opset >= 13 else list(range(axis % rank, rank))",
        "over = [axis]",
        "tests/test_import_onnx.py::test_an_old_softmax_by_hand",
        "onnx's reference evaluator",
    ),
    Mutant(
        "weights outside the model's folder",
        "importers/onnx_file.py",
        "if not file.is_relative_to(os.path.realpath(folder)):",
        "if False:",
        "tests/test_import_onnx.py::test_weights_elsewhere",
        "external data read at any path",
    ),
    Mutant(
        "unexpected weights passed over",
        "weights/state_dict.py",
        "if key not in known and",
        "if False and",
        "tests/test_state_dict.py::test_every_misfit_is_in_one_error",
        "load_state_dict(strict=False)",
    ),
    Mutant(
        "labels not checked",
        "zoo/datasets/mnist.py",
        'part.compare("labels", as_idx(part.y), MD5[split][1])',
        "pass",
        "tests/test_datasets.py::test_checksums_see_one_bit",
        "checksums of the images alone",
    ),
]

RELATIVE = [
    Mutant(
        "evidence changes sides at a negative unit",
        "relative.py",
        "s = _sgn(z) * R_unit / n",
        "s = R_unit / n",
        "tests/test_relative.py::test_without_the_sign_evidence_changes_sides",
        "theoOmathimatikos/Simple_LRP: a w / n without a sign",
    ),
    Mutant(
        "products taken before they are scaled",
        "relative.py",
        "power = _power_of_two(inputs)",
        "power = _power_of_two(tuple(0 * a for a in inputs))",
        "tests/test_relative.py::test_products_are_scaled_before_they_underflow",
        "a slip of the pen",
    ),
    Mutant(
        "a skip under the relative rule",
        "composites.py",
        "(unfused, Zero()), (Add, Zero()), (LinearLayer",
        "(unfused, Zero()), (LinearLayer",
        "tests/test_relative.py::test_skips_split_in_proportion_and_0_by_0_sends_nothing",
        "a slip of the pen: the abstract divides at skips, and only there",
    ),
    Mutant(
        "kappa from the messages' sum instead of their magnitudes",
        "relative.py",
        "[sum_per_sample(magnitude(part)) for part in parts]",
        "[sum_per_sample(part) for part in parts]",
        "tests/test_relative.py::test_a_layer_hands_on_the_magnitude_that_it_received",
        "a slip of the pen",
    ),
]


EVALUATION = [
    Mutant(
        "features ranked by |R|",
        "evaluation/ranking.py",
        'abs(values) if conventions.by == "magnitude" else values',
        "abs(values)",
        "tests/test_evaluation.py::test_evidence_against_comes_last_unless_asked_otherwise",
        "Xplique's documentation warns of it",
    ),
    Mutant(
        "ties broken by an unstable sort",
        "evaluation/ranking.py",
        'kind="stable"',
        'kind="quicksort"',
        "tests/test_evaluation.py::test_ties_go_by_position[morf]",
        "Quantus, pixel_flipping.py: argsort with its default, which is not stable",
    ),
    Mutant(
        "a curve without its start",
        "evaluation/flipping.py",
        "np.arange(0, parts, conventions.step)",
        "np.arange(conventions.step, parts, conventions.step)",
        "tests/test_evaluation.py::test_with_k_0_and_with_the_end",
        "Quantus, region_perturbation.py: the first point is after the first change",
    ),
    Mutant(
        "an area with a width of 1 per step",
        "evaluation/flipping.py",
        "np.trapezoid(self.scores, self.changed, axis=1) / width",
        "np.trapezoid(self.scores, axis=1)",
        "tests/test_evaluation.py::test_the_area_does_not_depend_on_how_many_points_there_are[3]",
        "Quantus, calculate_auc: dx = 1",
    ),
    Mutant(
        "a softmax on top of a softmax",
        "evaluation/scores.py",
        "return scorer.without_head() if isinstance(scorer, Network) else scorer",
        "return scorer",
        "tests/test_evaluation.py::test_a_softmax_is_never_applied_twice",
        "Quantus: softmax=True by default",
    ),
    Mutant(
        "all samples draw the same",
        "evaluation/scores.py",
        "np.random.default_rng([seed, draw, key])",
        "np.random.default_rng([seed, draw])",
        "tests/test_evaluation.py::test_random_maps_belong_to_their_sample",
        "a slip of the pen",
    ),
    Mutant(
        "the relevance of the random network starts at its logit",
        "evaluation/randomisation.py",
        'explain(net, x, target, rule, seed="one")',
        "explain(net, x, target, rule)",
        "tests/test_evaluation.py::test_cascading_and_independent",
        "a logit of the opposite sign flips the map, and the similarity with it",
    ),
]


REPRODUCTION = [
    Mutant(
        "what was measured is measured again",
        "reproduce/runner.py",
        "if path.is_file():",
        "if path.is_dir():",
        "tests/test_reproduce.py::test_a_run_is_taken_up_again",
        "hours are lost to a power cut",
    ),
    Mutant(
        "results of different protocols in one table",
        "reproduce/runner.py",
        "if not isinstance(first, dict) or first.get(key) != value",
        "if not isinstance(first, dict)",
        "tests/test_reproduce.py::test_results_of_another_protocol_are_refused",
        "a slip of the pen",
    ),
    Mutant(
        "a verdict from a single network",
        "reproduce/statistics.py",
        "least: int = 3",
        "least: int = 1",
        "tests/test_reproduce.py::test_verdicts",
        "images of one network taken for repeats of it",
    ),
    Mutant(
        "pictures taken apart in normalised units",
        "reproduce/networks.py",
        "return to_numpy(fast.forward(self.inputs(to_numpy(pixels))))",
        "return to_numpy(fast.forward(pixels))",
        "tests/test_reproduce.py::test_pictures_are_taken_apart_as_pictures",
        "a fill of 0 that is not black",
    ),
]


FAST = [
    Mutant(
        "a negative product dropped where inputs have two signs",
        "fast/algebra.py",
        "on_nonnegative(rule.ratios()) if at.nonnegative else rule.ratios()",
        "on_nonnegative(rule.ratios())",
        "tests/test_fast.py::test_fast_equals_plain[everything else-z-plus-winograd]",
        "captum: alpha1-beta0 clamps weights and forgets that inputs may be negative",
    ),
    Mutant(
        "Winograd where s has no bound",
        "fast/build.py",
        'if reduced.bounded or step.form == step.products.back.form == "direct":',
        "if True:",
        "tests/test_fast.py::test_a_nearly_empty_denominator_does_not_spoil_its_neighbours[winograd4]",
        "a slip of the pen: rounding of one unit would be relevance of its neighbours",
    ),
    Mutant(
        "a nearly empty negative part goes unnoticed",
        "fast/steps/nearly_empty.py",
        "if xp.min(here) < -limit or xp.max(here) > limit:",
        "if xp.min(here) < -limit:",
        "tests/test_fast.py::test_a_nearly_empty_denominator_does_not_spoil_its_neighbours[winograd4]",
        "a slip of the pen: |q| checked on one side only",
    ),
    Mutant(
        "gamma's branches add up to something else than z",
        "fast/algebra.py",
        "scale = 1 / (2 + rule.gamma)",
        "scale = 1 / (1 + rule.gamma)",
        "tests/test_fast.py::test_the_quick_quotient_is_the_plain_one",
        "a slip of the pen",
    ),
    Mutant(
        "plain gamma taken for bounded",
        "fast/algebra.py",
        "type(rule) is Gamma and rule.generalised",
        "type(rule) is Gamma",
        "tests/test_fast.py::test_the_quick_quotient_is_the_plain_one",
        "our own, found by that test",
    ),
    Mutant(
        "a cell that wins several windows keeps the last relevance only",
        "fast/steps/routing.py",
        "disjoint = kernel[0] <= stride[0] and kernel[1] <= stride[1]",
        "disjoint = True",
        "tests/test_fast.py::test_fast_equals_plain[chain-zero-winograd]",
        "tangermeme PR #95",
    ),
    Mutant(
        "ties to the last",
        "fast/steps/routing.py",
        "xp.greater(value, best, out=higher)",
        "xp.greater_equal(value, best, out=higher)",
        "tests/test_fast.py::test_a_tie_goes_to_the_first",
        "a slip of the pen",
    ),
    Mutant(
        "the adjoint's kernel is not flipped",
        "fast/build.py",
        "xp.flip(xp.permute_dims(stacked, (1, 0, 2, 3)), axis=(2, 3))",
        "xp.permute_dims(stacked, (1, 0, 2, 3))",
        "tests/test_fast.py::test_the_adjoint_is_the_adjoint",
        "many a hand-written backward pass",
    ),
    Mutant(
        "our code for a user's subclass",
        "fast/build.py",
        "if type(layer) is Dense or (type(layer) is Conv2D and layer.groups == 1):",
        "if isinstance(layer, Dense) or (isinstance(layer, Conv2D) and layer.groups == 1):",
        "tests/test_fast.py::test_layers_and_rules_of_ones_own",
        "a slip of the pen",
    ),
    Mutant(
        "a slip in a transform of F(4x4)",
        "fast/winograd.py",
        "r *= 4",
        "r *= 5",
        "tests/test_fast.py::test_winograds_transforms_are_the_matrices_of_the_paper",
        "a slip of the pen",
    ),
    Mutant(
        "a forward pass alone computes another weight's product",
        "fast/steps/weighted.py",
        "kernel.only(self.recipe.output[0])",
        "kernel.only(len(self.recipe.parts) - 1)",
        "tests/test_fast.py::test_fast_equals_plain[chain-z-plus-winograd]",
        "a slip of the pen",
    ),
    Mutant(
        "a bias that varies counts as none",
        "fast/algebra.py",
        "if rectified and not at.bias_varies and _exceeds_own(",
        "if rectified and _exceeds_own(",
        "tests/test_own_types.py::test_a_bias_that_varies_is_part_of_the_layers_output",
        "an earlier version of this library",
    ),
    Mutant(
        "a step that a mixin overrides goes unnoticed",
        "fast/algebra.py",
        "return owners == list(dict.fromkeys([kind, Rule])) and not STEPS & vars(rule).keys()",
        "return owners[0] is kind and not STEPS & vars(rule).keys()",
        "tests/test_own_types.py::test_the_fast_engine_computes_a_users_rule_as_the_walk_does",
        "an earlier version of this library",
    ),
    Mutant(
        "a rule's own denominator is ignored",
        "fast/algebra.py",
        "type(ratio) is Ratio and ratio.denominator is None and all(",
        "type(ratio) is Ratio and all(",
        "tests/test_fast.py::test_a_rule_with_steps_of_its_own_is_one_plain_step",
        "a slip of the pen",
    ),
    Mutant(
        "the books of a user's layer are not checked when it is fast around it",
        "fast/steps/plain.py",
        "workers.problems.extend(filter(None, self._problems(R, flow)))",
        "list(self._problems(R, flow))",
        "tests/test_fast.py::test_books_that_do_not_close_are_warned_of_at_every_explanation",
        "a slip of the pen",
    ),
    Mutant(
        "memory used again while a view of it is held",
        "fast/store.py",
        "weakref.finalize(array.base, self._back, memory)",
        "weakref.finalize(array, self._back, memory)",
        "tests/test_fast_store.py::test_memory_comes_back_when_the_last_view_goes",
        "the first draft of this store",
    ),
]


EDGES = [
    Mutant(
        "a subclass of Conv2D is folded",
        "fusion.py",
        "return type(layer) in FOLDABLE",
        "return isinstance(layer, FOLDABLE)",
        "tests/test_fusion.py::test_a_subclass_is_not_folded_and_the_plan_says_why[before]",
        "an earlier version of lrpref: a weight-standardised convolution was wrong by three quarters",
    ),
    Mutant(
        "a subclass of Scale is folded away",
        "fusion.py",
        "and type(layer) not in DIAGONAL",
        "and not isinstance(layer, DIAGONAL)",
        "tests/test_fusion.py::test_a_subclass_is_not_folded_and_the_plan_says_why[itself]",
        "the same, on the other side of the fold",
    ),
    Mutant(
        "presets put an unknown weighted layer under epsilon",
        "composites.py",
        "(joins_and_pooling, Epsilon(stabilizer))",
        "(LinearLayer, Epsilon(stabilizer))",
        "tests/test_composites.py::test_a_preset_refuses_a_weighted_layer_that_it_does_not_know[epsilon-plus]",
        "an earlier version of lrpref",
    ),
    Mutant(
        "a float in a map turns fractions into floats",
        "arithmetic.py",
        "if is_rational(like) and not",
        "if not is_rational(like) and not",
        "tests/test_rules.py::test_a_float_inside_a_map_works_in_exact_arithmetic_or_is_refused_with_a_remedy",
        "an earlier version of lrpref",
    ),
    Mutant(
        "a ratio's own denominator is ignored",
        "engine.py",
        "return z, bias, z if self.denominator is None else _sum(self.denominator, layer, inputs, w, b)[0]",
        "return z, bias, z",
        "tests/test_rules.py::test_a_signed_share_over_magnitudes_by_hand",
        "a slip of the pen",
    ),
    Mutant(
        "what a denominator of its own leaves is not recorded",
        "engine.py",
        "sum_per_sample(s * (d - z))",
        "sum_per_sample(0 * s)",
        "tests/test_rules.py::test_its_books_close_too[dense]",
        "a slip of the pen",
    ),
    Mutant(
        "an import by name is not seen",
        "network.py",
        "from .layers.base import Shape",
        'from .layers.base import Shape\nLATE = lambda: __import__("lrpref.fast")',
        "tests/test_imports.py::test_imports_run_one_way",
        "an earlier version of lrpref: Network.prepare",
    ),
    Mutant(
        "the time budget is never spent",
        "_support/budget.py",
        "< self.seconds",
        "< self.seconds + 1e9",
        "tests/test_rational.py::test_a_budget_of_0_stops_before_anything_is_computed",
        "a check that cannot fail",
    ),
]


CORNERS = [
    Mutant(
        "the books of ratios that do not add up are not checked",
        "fast/algebra.py",
        "(not fixed_shares(rule) or _shares_all(ratios))",
        "True",
        "tests/test_fast.py::test_the_books_of_ratios_that_do_not_add_up_are_checked",
        "lrpref 0.2.0",
    ),
    Mutant(
        "the books of bare relative messages overflow",
        "relative.py",
        "grow * (sum_per_sample(R_unit * magnitude(z) / n) / power)",
        "grow * sum_per_sample(R_unit * magnitude(z) / n) / power",
        "tests/test_relative.py::test_the_power_of_two_is_that_of_the_largest_of_several_inputs",
        "lrpref 0.2.0",
    ),
    Mutant(
        "generalised gamma before a ReLU forgets a branch where R is explicit",
        "fast/algebra.py",
        "if at.nonnegative and at.rectified and at.carried:",
        "if at.nonnegative and at.rectified:",
        "tests/test_fast.py::test_generalised_gamma_where_relevance_is_not_carried",
        "a hard look from outside",
    ),
    Mutant(
        "generalised gamma shares y instead of R where R is explicit",
        "fast/algebra.py",
        "_is_generalised_gamma(rule) and at.nonnegative and at.carried and epsilon > 0",
        "_is_generalised_gamma(rule) and at.nonnegative and epsilon > 0",
        "tests/test_fast.py::test_generalised_gamma_where_relevance_is_not_carried",
        "a hard look from outside",
    ),
    Mutant(
        "a negative border keeps the sign",
        "fast/algebra.py",
        "(type(layer) is layers.Pad2D and layer.value >= 0)",
        "type(layer) is layers.Pad2D",
        "tests/test_fast.py::test_a_negative_border_is_negative",
        "a hard look from outside",
    ),
    Mutant(
        "a layer is computed with its ReLU though another one reads it",
        "fast/build.py",
        "graph.readers[node.name] != [relu.name]",
        "relu.name not in graph.readers[node.name]",
        "tests/test_fast.py::test_a_layer_that_its_relu_and_another_layer_read",
        "a hard look from outside",
    ),
    Mutant(
        "a sum of three branches at most",
        "fast/steps/joins.py",
        "for a in more:",
        "for a in more[:1]:",
        "tests/test_fast.py::test_sums_of_many_branches",
        "a hard look from outside",
    ),
    Mutant(
        "the bias of a negative term is added, when prepared",
        "fast/algebra.py",
        "[term.sign * term.b(b)",
        "[term.b(b)",
        "tests/test_fast.py::test_the_bias_of_a_negative_term_is_subtracted",
        "a hard look from outside",
    ),
    Mutant(
        "the bias of a negative term is added",
        "engine.py",
        "else _signed(self.sign, _mapped(self.b, b))",
        "else _mapped(self.b, b)",
        "tests/test_fast.py::test_the_bias_of_a_negative_term_is_subtracted",
        "a hard look from outside",
    ),
    Mutant(
        "constant - x is x - constant",
        "importers/onnx_operations.py",
        "first = call.inputs[0] is x",
        "first = True",
        "tests/test_import_onnx.py::test_a_constant_minus_an_activation",
        "a hard look from outside",
    ),
    Mutant(
        "verify allows a thousand times more",
        "fusion.py",
        "1e4 * float",
        "1e7 * float",
        "tests/test_fusion.py::test_verify_allows_ten_thousand_roundings",
        "a hard look from outside",
    ),
    Mutant(
        "verify allows a thousand times less",
        "fusion.py",
        "1e4 * float(",
        "1e1 * float(",
        "tests/test_fusion.py::test_verify_allows_ten_thousand_roundings",
        "a hard look from outside",
    ),
    Mutant(
        "the search leaves stabilizers as they are",
        "differences/choices.py",
        'return replace(rule, stabilizer=value) if hasattr(rule, "stabilizer") else rule',
        "return rule",
        "tests/test_compare.py::test_every_stabilizer_is_set",
        "a hard look from outside",
    ),
    Mutant(
        "a tiny denominator is taken for zero",
        "engine.py",
        "    zero = z == 0\n",
        "    zero = abs(z) < 1e-300\n",
        "tests/test_rules.py::test_a_tiny_denominator_is_not_zero",
        "a hard look from outside",
    ),
    Mutant(
        "the power of two of the first input",
        "relative.py",
        "peaks = [array_namespace(a).max(magnitude(a), axis=tuple(range(1, a.ndim))) for a in inputs]",
        "peaks = [array_namespace(a).max(magnitude(a), axis=tuple(range(1, a.ndim))) for a in inputs[:1]]",
        "tests/test_relative.py::test_the_power_of_two_is_that_of_the_largest_of_several_inputs",
        "a hard look from outside",
    ),
]


NOT_FINITE = [
    Mutant(
        "no law compares forward with the matrix",
        "testing/layer_checks.py",
        'found["check_forward"]',
        'found["check_weights"]',
        "tests/test_testing.py::test_a_wrong_layer_is_told_what_is_wrong",
        "lrpref 0.2.0",
    ),
    Mutant(
        "the law of forward passes knows no bias",
        "testing/laws.py",
        "expected if b is None else expected + b",
        "expected",
        "tests/test_testing.py::test_a_wrong_layer_is_told_what_is_wrong",
        "a slip of the pen",
    ),
    Mutant(
        "no law says where a routing layer sends relevance",
        "testing/layer_checks.py",
        'found["check_routes"] = lambda inputs: check_routes.pairs(relevance, layer.forward, _distinct(inputs))',
        "pass",
        "tests/test_testing.py::test_a_layer_that_sends_relevance_to_the_wrong_cells",
        "lrpref 0.2.0",
    ),
    Mutant(
        "z-box as a difference of large sums",
        "rules.py",
        "(Term(lambda a: a - low(a), positive), Term(lambda a: a - high(a), negative))",
        "(Term(), Term(low, positive, sign=-1), Term(high, negative, sign=-1))",
        "tests/test_rules.py::test_a_z_box_denominator_that_is_zero_is_exactly_zero",
        "lrpref 0.2.0; zennit, innvestigate",
    ),
    Mutant(
        "every call restores the threads of BLAS that it found",
        "fast/workers.py",
        "            if self._calls == 0:\n                self._limiter = control.limit",
        "            if True:\n                self._limiter = control.limit",
        "tests/test_fast.py::test_overlapping_calls_share_the_limit_on_blas",
        "lrpref 0.2.0",
    ),
    Mutant(
        "the first call to end restores the threads of BLAS",
        "fast/workers.py",
        "                if self._calls == 0:\n                    self._limiter.restore",
        "                if True:\n                    self._limiter.restore",
        "tests/test_fast.py::test_overlapping_calls_share_the_limit_on_blas",
        "a slip of the pen",
    ),
    Mutant(
        "a ReLU turns NaN into 0",
        "layers/activation.py",
        "        return xp.where(x <= 0, zeros_like(x), x)",
        "        return xp.where(x > 0, x, zeros_like(x))",
        "tests/test_not_finite.py::test_a_layer_passes_nan_on_within_its_sample",
        "lrpref 0.2.0",
    ),
    Mutant(
        "ReLU6 turns NaN into 6",
        "layers/activation.py",
        "xp.where(x >= 6, full(x.shape, 6, like=x), x)",
        "xp.where(x < 6, x, full(x.shape, 6, like=x))",
        "tests/test_not_finite.py::test_a_layer_passes_nan_on_within_its_sample",
        "lrpref 0.2.0",
    ),
    Mutant(
        "a threshold replaces NaN",
        "layers/activation.py",
        "xp.where(x <= t, t, x)",
        "xp.where(x > t, x, t)",
        "tests/test_not_finite.py::test_a_layer_passes_nan_on_within_its_sample",
        "lrpref 0.2.0",
    ),
    Mutant(
        "a max-pool drops a NaN that is not first",
        "layers/pool.py",
        "larger = ~(value <= z) & (z == z)",
        "larger = value > z",
        "tests/test_not_finite.py::test_a_max_pool_takes_the_first_nan_as_argmax_does",
        "lrpref 0.2.0",
    ),
    Mutant(
        "the last NaN of a window wins",
        "layers/pool.py",
        "~(value <= z) & (z == z)",
        "~(value <= z)",
        "tests/test_not_finite.py::test_a_max_pool_takes_the_first_nan_as_argmax_does",
        "a slip of the pen",
    ),
    Mutant(
        "no cell of a window equals NaN",
        "layers/pool.py",
        "(value == z) | ((value != value) & (z != z))",
        "value == z",
        "tests/test_not_finite.py::test_a_max_pool_takes_the_first_nan_as_argmax_does",
        "lrpref 0.2.0",
    ),
    Mutant(
        "the positive part of NaN is 0",
        "engine.py",
        "xp.where(x <= 0, zeros_like(x), x)",
        "xp.where(x > 0, x, zeros_like(x))",
        "tests/test_not_finite.py::test_maps_of_nan_are_nan",
        "lrpref 0.2.0",
    ),
    Mutant(
        "the negative part of NaN is 0",
        "engine.py",
        "xp.where(x >= 0, zeros_like(x), x)",
        "xp.where(x < 0, x, zeros_like(x))",
        "tests/test_not_finite.py::test_maps_of_nan_are_nan",
        "lrpref 0.2.0",
    ),
    Mutant(
        "inputs are not checked after the cast",
        "network.py",
        '        check_in_range(x, "the input")\n',
        "",
        "tests/test_not_finite.py::test_inputs_are_checked_after_the_cast",
        "lrpref 0.2.0",
    ),
    Mutant(
        "a number as a seed is not checked after the cast",
        "seeds.py",
        '        check_in_range(values, "the seed")\n',
        "",
        "tests/test_not_finite.py::test_seeds_are_checked_after_the_cast",
        "lrpref 0.2.0",
    ),
    Mutant(
        "forward says nothing of an overflow",
        "network.py",
        "        for problem in self.not_finite(outputs):\n            warn(problem)\n            break\n",
        "",
        "tests/test_not_finite.py::test_float32_overflows_by_name_and_float64_is_right",
        "lrpref 0.2.0",
    ),
    Mutant(
        "trace looks at relevance alone",
        "walk.py",
        "chain(net.up_to(start).not_finite(activations), _problems(at, ledger))",
        "_problems(at, ledger)",
        "tests/test_not_finite.py::test_an_overflow_that_a_relu_hides_is_named",
        "lrpref 0.2.0",
    ),
    Mutant(
        "nodes after the explained one are judged",
        "walk.py",
        "net.up_to(start).not_finite",
        "net.not_finite",
        "tests/test_not_finite.py::test_nodes_after_the_explained_one_are_not_judged",
        "a slip of the pen",
    ),
    Mutant(
        "a prepared network trusts every sum",
        "fast/workers.py",
        "bool(peak < float(xp.finfo(peak.dtype).max) / HEADROOM)",
        "True",
        "tests/test_not_finite.py::test_an_overflow_that_a_relu_hides_is_named",
        "lrpref 0.2.0",
    ),
    Mutant(
        "a prepared layer's inputs are not watched",
        "fast/steps/weighted.py",
        "        workers.watch(read, self.gain)\n",
        "",
        "tests/test_not_finite.py::test_an_overflow_that_a_relu_hides_is_named",
        "lrpref 0.2.0",
    ),
    Mutant(
        "a prepared layer's inputs are not watched under the flat rule",
        "fast/steps/flat_rule.py",
        "        workers.watch(a, self.gain)\n",
        "",
        "tests/test_not_finite.py::test_an_overflow_that_a_relu_hides_is_named",
        "lrpref 0.2.0",
    ),
    Mutant(
        "a prepared sum is not watched",
        "fast/steps/joins.py",
        "            workers.watch(a, len(inputs))\n",
        "            pass\n",
        "tests/test_not_finite.py::test_an_overflow_in_a_skip_connection_is_named",
        "lrpref 0.2.0",
    ),
    Mutant(
        "a prepared mean is not watched",
        "fast/steps/joins.py",
        "        workers.watch(a, a.shape[1] * a.shape[2])\n",
        "",
        "tests/test_not_finite.py::test_a_mean_whose_sum_overflows_is_named",
        "lrpref 0.2.0",
    ),
    Mutant(
        "a plain step's output is not watched",
        "fast/steps/plain.py",
        "        workers.watch(y)\n",
        "",
        "tests/test_not_finite.py::test_an_overflow_in_a_layer_computed_plainly_is_named",
        "lrpref 0.2.0",
    ),
    Mutant(
        "a plain step's denominators are not watched",
        "fast/steps/plain.py",
        "            workers.watch(loss)",
        "            pass",
        "tests/test_not_finite.py::test_a_denominator_of_a_plain_step_that_overflows_is_named",
        "lrpref 0.2.0",
    ),
    Mutant(
        "a prepared stabilizer may be infinite",
        "fast/build.py",
        " if isfinite(epsilon) else inf",
        "",
        "tests/test_not_finite.py::test_a_stabilizer_that_overflows_is_named",
        "lrpref 0.2.0",
    ),
    Mutant(
        "a warning does not name its block",
        "errors.py",
        "warnings.warn(_block.get() + message",
        "warnings.warn(message",
        "tests/test_not_finite.py::test_a_warning_names_the_block_and_the_sample_in_it",
        "lrpref 0.2.0",
    ),
]


MUTANTS = [
    *NOT_FINITE,
    *CORNERS,
    *EDGES,
    *STABILIZER,
    *ENGINE,
    *RULES,
    *LAYERS,
    *WALK,
    *FUSION,
    *BLOCKS,
    *ZOO,
    *JUDGES,
    *IMPORTERS,
    *RELATIVE,
    *EVALUATION,
    *REPRODUCTION,
    *FAST,
]


def table() -> str:
    """Format the table as text."""
    rows = [(m.name, m.file, m.killer.removeprefix("tests/"), m.origin) for m in MUTANTS]
    rows.insert(0, ("mistake", "in lrpref/", "noticed by", "whose"))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = ["  ".join((*(f"{c:{w}}" for c, w in zip(row, widths, strict=False)), row[3])) for row in rows]
    return "\n".join([*lines, f"{len(MUTANTS)} mutants"])


if __name__ == "__main__":
    print(table())
