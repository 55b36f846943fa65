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
        "z-box with a bias in one of its three passes",
        "rules.py",
        "return (Ratio((Term(), Term(low,",
        "return (Ratio((Term(b=lambda b: b), Term(low,",
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
        "real & (~seen | (value > z))",
        "~seen | (value > z)",
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
        "layers/activation.py",
        "x - xp.max(x, axis=1, keepdims=True)",
        "x",
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
        "the explanation starts behind the softmax",
        "network.py",
        "return last.inputs[0] if isinstance(last.layer, Softmax) else last.name",
        "return last.name",
        case("head-and-seed-logit"),
        "lrp_toolbox#5, innvestigate#112",
    ),
    Mutant(
        "the seed is one, whatever was asked",
        "seeds.py",
        'if start == "logit":\n        values = flat\n',
        'if start == "logit":\n        values = ones_like(flat)\n',
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
        "return scorer.up_to(scorer.logits)",
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


def hostile(name: str) -> str:
    """The test of a file made to hurt."""
    return f"tests/test_hostile.py::test_a_file_is_refused_by_name_and_in_time[{name}]"


BOUNDS = [
    Mutant(
        "the header of an array is read at any length",
        "_support/untrusted.py",
        "head = BytesIO(stream.read(HEADER_BYTES))",
        "head = stream",
        hostile("npz_bomb_in_the_header"),
        "numpy.load reads the header before it checks its length",
    ),
    Mutant(
        "an axis of 0 excuses one of 10**30",
        "_support/untrusted.py",
        "prod(max(n, 1) for n in shape)",
        "prod(shape)",
        hostile("npz_of_shape_1e30_by_0"),
        "lrpref 0.2: OverflowError",
    ),
    Mutant(
        "JSON of any depth",
        "_support/untrusted.py",
        "if any(isinstance(value, dict | list) for value in level):",
        "if not level and found is None:",
        hostile("json_of_depth_900"),
        "lrpref 0.2: RecursionError",
    ),
    Mutant(
        "integers of any length",
        "_support/untrusted.py",
        "if len(digits) > MAX_DIGITS:",
        "if len(digits) > 4000:",
        hostile("json_with_an_eps_of_400_digits"),
        "lrpref 0.2: OverflowError",
    ),
    Mutant(
        "a member twice",
        "weights/npz.py",
        "if name in members:",
        "if name in ():",
        hostile("npz_with_a_member_twice"),
        "numpy.load takes the last of them",
    ),
    Mutant(
        "a directory of any size",
        "weights/npz.py",
        "if size is not None and size > self.largest:",
        "if size is None:",
        hostile("npz_with_a_large_directory"),
        "zipfile reads the directory at once",
    ),
    Mutant(
        "layers that copy a shared weight take no memory",
        "importers/onnx.py",
        "self._count(*held, *border, shapes[0])",
        "self._count(*border, shapes[0])",
        "tests/test_import_onnx.py::test_a_shared_weight_counts_for_each_copy",
        "a slip of the pen",
    ),
    Mutant(
        "the patches of a convolution take no memory",
        "importers/onnx.py",
        "self._check_patches(layer, before[0], shapes[0])",
        "pass",
        hostile("onnx_convolution_of_500_by_500"),
        "onnx's evaluator gathers all patches at once",
    ),
    Mutant(
        "the positions of a kernel take no time",
        "importers/onnx.py",
        "(TAP + GATHERED * prod(after))",
        "GATHERED * prod(after)",
        hostile("onnx_pool_of_1000_by_1000"),
        "lrpref 0.2: 20 s for a file of 144 bytes",
    ),
    Mutant(
        "padding of any size",
        "layers/window.py",
        "    check_size(larger)\n",
        "",
        hostile("convolution_padded_by_1e8"),
        "lrpref 0.2: MemoryError",
    ),
    Mutant(
        "a header of an archive of any size",
        "zoo/datasets/cifar10.py",
        "if not 0 <= size <= MAX_PIECE:",
        "if size < 0:",
        hostile("tar_with_a_pax_header_of_3_gib"),
        "tarfile reads a member's header at once",
    ),
]


MUTANTS = [
    *BOUNDS,
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
