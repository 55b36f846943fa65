"""`crosscheck`: check an attribution of a PyTorch module with a single call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lrpref
from lrpref.composites import Composite, EpsilonPlus
from lrpref.differences import conventions as others
from lrpref.errors import ConversionError, InputError, ShapeError
from lrpref.layers import WeightedLayer

torch = pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[torch]'")
nn, F = torch.nn, torch.nn.functional


class Net(nn.Module):
    """A residual network with BatchNorm, functional activations and an in-place ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2, self.relu = nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True)
        self.fc = nn.Linear(16, 3)

    def forward(self, x: Any) -> Any:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.conv2(x) + x)
        return self.fc(torch.flatten(F.avg_pool2d(x, 3), 1))


@pytest.fixture(scope="module")
def module() -> Any:
    torch.manual_seed(3)
    net = Net()
    nn.init.normal_(net.bn1.weight)
    nn.init.normal_(net.bn1.bias)
    nn.init.normal_(net.bn1.running_mean)
    return net.eval()


@pytest.fixture(scope="module")
def x() -> Any:
    return torch.randn(2, 2, 6, 6, generator=torch.Generator().manual_seed(4))


def test_gradient_times_input_is_lrp_0(module: Any, x: Any) -> None:
    """Gradient times input from torch equals LRP-0, and is recognised as such when checked against epsilon-plus."""
    given = x.clone().requires_grad_()
    y = module(given)
    (gradient,) = torch.autograd.grad(y.max(dim=1).values.sum(), given)
    attribution = (given * gradient).detach()
    zero = Composite([(lrpref.LinearLayer, lrpref.rules.Zero())])
    assert lrpref.crosscheck(module, x, attribution, zero, groups=False).equal
    found = lrpref.crosscheck(module, x, attribution, "epsilon-plus")
    assert not found.equal
    assert ("zero-everywhere",) in [match.names for match in found.matches]


def test_captums_rule_written_in_torch_is_named() -> None:
    """captum's Alpha1_Beta0_Rule for two Linear layers, written in torch without lrpref, is identified."""
    torch.manual_seed(5)
    first, second = nn.Linear(5, 6), nn.Linear(6, 3)
    model = nn.Sequential(first, nn.ReLU(), second)
    x = torch.randn(3, 5)
    with torch.no_grad():
        hidden = F.relu(first(x))
        y = second(hidden)
        R = y * F.one_hot(y.argmax(dim=1), 3)
        for layer, a in ((second, hidden), (first, x)):
            w = layer.weight.clamp(min=0)
            z = a @ w.T + layer.bias
            R = a * ((R / (z + 1e-9 * torch.where(z >= 0, 1.0, -1.0))) @ w)
    found = lrpref.crosscheck(model, x, R, "z-plus", tolerance=1e-4)
    assert not found.equal
    assert [match.names for match in found.matches] == [("weights-clamped",)]


@pytest.mark.filterwarnings("ignore")
def test_captum_itself(x: Any) -> None:
    """captum applies its rules on the first call and deletes them; the second call uses epsilon everywhere."""
    captum = pytest.importorskip("captum.attr", reason="captum is not installed: pip install captum")
    rules = pytest.importorskip("captum.attr._utils.lrp_rules")

    class Convolutional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.relu1, self.pool = nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
            self.conv2, self.relu2, self.fc = nn.Conv2d(4, 5, 2), nn.ReLU(), nn.Linear(20, 3)

        def forward(self, x: Any) -> Any:
            return self.fc(torch.flatten(self.relu2(self.conv2(self.pool(self.relu1(self.conv1(x))))), 1))

    torch.manual_seed(6)
    model = Convolutional().eval().double()
    for part in model.children():
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.rule = rules.Alpha1_Beta0_Rule()
    target = model(x.double()).argmax(dim=1)
    first, second = (captum.LRP(model).attribute(x.double(), target=target) for _ in range(2))
    found = lrpref.crosscheck(model, x, first, "z-plus", tolerance=1e-6)
    assert ("weights-clamped",) in [match.names for match in found.matches]
    found = lrpref.crosscheck(model, x, second, "z-plus", tolerance=1e-6)
    assert ("epsilon-everywhere",) in [match.names for match in found.matches]


@pytest.mark.filterwarnings("ignore")
def test_zennit_itself(x: Any) -> None:
    """zennit's composite does not hook `+`; under flat, no hook applies to the function `relu`."""
    composites = pytest.importorskip("zennit.composites", reason="zennit is not installed, or torchvision is not")
    attribution = pytest.importorskip("zennit.attribution")
    rules = pytest.importorskip("zennit.rules")

    def crosscheck(model: Any, composite: Any, rule: Any) -> Any:
        y = model(x).detach()
        with attribution.Gradient(model=model, composite=composite) as attributor:
            _, R = attributor(x.clone(), y * F.one_hot(y.argmax(dim=1), 3))
        return lrpref.crosscheck(model, x, R, rule)

    class Plus(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.relu1, self.conv2 = nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)
            self.relu2, self.fc = nn.ReLU(), nn.Linear(64, 3)

        def forward(self, x: Any) -> Any:
            x = self.relu1(self.conv1(x))
            return self.fc(torch.flatten(self.relu2(self.conv2(x) + x), 1))

    class Function(Plus):
        def forward(self, x: Any) -> Any:
            return self.fc(torch.flatten(F.relu(self.conv1(x)), 1))

    torch.manual_seed(7)
    found = crosscheck(Plus().eval(), composites.EpsilonPlus(), "epsilon-plus")
    assert [match.names for match in found.matches] == [("add-to-every",)]
    flat = composites.LayerMapComposite([(nn.Conv2d, rules.Flat(0.0)), (nn.Linear, rules.Flat(0.0))])
    found = crosscheck(Function().eval(), flat, "flat")
    assert [match.names for match in found.matches] == [("relu-gradient",)]


def test_what_lrpref_made_is_equal(module: Any, x: Any) -> None:
    R = lrpref.explain(lrpref.from_torch(module, x), x.numpy())
    found = lrpref.crosscheck(module, x, R)
    assert found.equal
    assert found.comparison is not None
    assert found.comparison.cosine == pytest.approx(1)


def test_target_and_seed_and_tensors_of_them(module: Any, x: Any) -> None:
    target = torch.tensor([2, 0])
    net = lrpref.from_torch(module, x)
    R = lrpref.explain(net, x.numpy(), target.numpy(), "epsilon", "one")
    assert lrpref.crosscheck(module, x, torch.from_numpy(R), "epsilon", target, "one").equal
    assert lrpref.crosscheck(module, x, torch.from_numpy(R), "epsilon", [2, 0], "one").equal
    assert not lrpref.crosscheck(module, x, torch.from_numpy(R), "epsilon", 1, "one", groups=False).equal


def test_a_map_in_half_precision_that_needs_a_gradient(module: Any, x: Any) -> None:
    R = torch.from_numpy(lrpref.explain(lrpref.from_torch(module, x), x.numpy())).bfloat16().requires_grad_()
    assert lrpref.crosscheck(module, x, R, tolerance=1e-2).equal


def test_a_plus_that_hooks_do_not_see(module: Any, x: Any) -> None:
    net = lrpref.from_torch(module, x).astype(np.float64)
    plus = Composite([(lrpref.Add, others.ToEvery()), *EpsilonPlus().pairs])
    R = lrpref.explain(net, x.double().numpy(), rule=plus)
    found = lrpref.crosscheck(module, x, torch.from_numpy(R), "epsilon-plus")
    assert [match.names for match in found.matches] == [("add-to-every",)]


def test_the_bias_that_torchlrp_drops(module: Any, x: Any) -> None:
    net = lrpref.from_torch(module, x)
    rule = Composite([(WeightedLayer, lrpref.rules.AlphaBeta(1, 0, bias="ignore"))])
    found = lrpref.crosscheck(module, x, lrpref.explain(net, x.numpy(), rule=rule), "z-plus")
    assert ("alpha-beta-bias-ignored",) in [match.names for match in found.matches]


def test_mistakes(module: Any, x: Any) -> None:
    with pytest.raises(ConversionError, match="Hardshrink"):
        lrpref.crosscheck(nn.Sequential(nn.Hardshrink()), x, x)
    with pytest.raises(ShapeError, match="but maps of this input have shape"):
        lrpref.crosscheck(module, x, x[:, :, :2])
    with pytest.raises(InputError, match="the other map holds"):
        lrpref.crosscheck(module, x, x * float("nan"))


# ---- zennit, layer by layer --------------------------------------------------------------------------------------


def by_zennit(model: Any, rules_of: dict[Any, Any], x: Any, seed: Any) -> Any:
    """The map of zennit with a rule for each type of module."""
    composites = pytest.importorskip("zennit.composites", reason="zennit is not installed, or torchvision is not")
    attribution = pytest.importorskip("zennit.attribution")
    composite = composites.LayerMapComposite(list(rules_of.items()))
    with attribution.Gradient(model=model, composite=composite) as attributor:
        _, R = attributor(x.clone(), seed)
    return R.detach()


def by_lrpref(rules_of: dict[Any, Any]) -> Composite:
    return Composite(list(rules_of.items()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("when", ["while it is applied", "after it was removed"])
def test_after_zennits_own_canonizer(bias: bool, when: str) -> None:
    """Its parameters then stand in the module's dictionary, where `double()` does not find them."""
    canonizers = pytest.importorskip("zennit.canonizers", reason="zennit is not installed, or torchvision is not")
    composites = pytest.importorskip("zennit.composites", reason="zennit is not installed, or torchvision is not")
    attribution = pytest.importorskip("zennit.attribution")
    torch.manual_seed(8)
    model = nn.Sequential(nn.Conv2d(2, 3, 3, bias=bias), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3))
    for name in ("weight", "bias", "running_mean"):
        nn.init.normal_(getattr(model.eval()[1], name))
    x, seed = torch.randn(2, 2, 6, 6), torch.eye(3)[[0, 2]]
    composite = composites.EpsilonPlus(canonizers=[canonizers.SequentialMergeBatchNorm()])
    with attribution.Gradient(model=model, composite=composite) as attributor:
        _, R = attributor(x.clone(), seed)
        with pytest.raises(ConversionError, match="leave the `with` block"):  # its hooks hold activations
            lrpref.crosscheck(model, x, R)
    for instance in canonizers.SequentialMergeBatchNorm().apply(model):
        if when == "after it was removed":
            instance.remove()
    assert any("weight" in vars(part) for part in model)
    found = lrpref.crosscheck(model, x, R, "epsilon-plus", [0, 2], "one")
    if when == "while it is applied":
        assert found.equal
    else:
        assert ("batch-norm-fused",) in [match.names for match in found.matches]


def norm(model: Any) -> Any:
    torch.manual_seed(9)
    for part in model.modules():
        if hasattr(part, "running_mean"):
            nn.init.uniform_(part.running_mean, 0.5, 1.0)
        if isinstance(part, nn.BatchNorm1d | nn.LayerNorm):
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    return model.eval().double()


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shared, self.relu1, self.out = nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 3)

    def forward(self, x: Any) -> Any:
        return self.out(self.shared(self.relu1(self.shared(x))))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    ["batch-norm-mean-subtracted", "norm-whole-gradient", "average-pool-epsilon", "upsample-flat-weights",
     "shared-last-input", "gamma-zero-lost", "softmax-gradient", "seed-one"],
)  # fmt: skip
def test_what_zennit_does_is_named(name: str) -> None:
    """Each convention of the table that names zennit for a layer, on zennit itself."""
    theirs = pytest.importorskip("zennit.rules", reason="zennit is not installed, or torchvision is not")
    ours = lrpref.rules
    torch.manual_seed(10)
    x, one = torch.randn(2, 5).double(), torch.eye(3)[[0, 2]].double()
    seed: Any = one
    if name == "batch-norm-mean-subtracted":
        model = norm(nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)))
        model[1].bias.data -= 1.5  # so that beta has another sign than beta - g mu / s, or less of it
        there = {nn.Linear: theirs.Epsilon(1e-6), nn.BatchNorm1d: theirs.ZPlus(1e-6)}
        here = {lrpref.Dense: ours.Epsilon(1e-6), lrpref.BatchNorm: ours.ZPlus(1e-6)}
    elif name == "norm-whole-gradient":
        model = norm(nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.Linear(4, 3)))
        here = {lrpref.LinearLayer: ours.Epsilon(1e-6)}
        there = {nn.Linear: theirs.Epsilon(1e-6), nn.LayerNorm: theirs.Epsilon(1e-6)}
    elif name == "average-pool-epsilon":
        model = norm(nn.Sequential(nn.Conv2d(2, 2, 2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2, 3)))
        x = torch.randn(2, 2, 3, 3).double()
        rule = {part: theirs.ZPlus(1e-6) for part in (nn.Conv2d, nn.AvgPool2d, nn.Linear)}
        there, here = rule, {lrpref.LinearLayer: ours.ZPlus(1e-6)}
    elif name == "upsample-flat-weights":
        model = norm(nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Flatten(), nn.Linear(72, 3)))
        x = torch.randn(2, 2, 3, 3).double()
        there = {nn.Upsample: theirs.Flat(0.0), nn.Linear: theirs.Epsilon(1e-6)}
        here = {lrpref.Dense: ours.Epsilon(1e-6), lrpref.LinearLayer: ours.Flat()}
    elif name == "shared-last-input":
        model = norm(Twice())
        there, here = {nn.Linear: theirs.Epsilon(1e-6)}, {lrpref.LinearLayer: ours.Epsilon(1e-6)}
    elif name == "gamma-zero-lost":
        model = norm(nn.Sequential(nn.Linear(2, 2, bias=False)))
        model[0].weight.data = torch.tensor([[1.0, -1.0], [2.0, -1.0]]).double()
        x, seed, one = torch.ones(1, 2).double(), torch.ones(1, 2).double(), np.ones((1, 2))
        there, here = {nn.Linear: theirs.Gamma(0.25)}, {lrpref.LinearLayer: ours.Gamma(0.25, True, 1e-6)}
    elif name == "softmax-gradient":
        model = norm(nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3), nn.Softmax(1)))
        there, here = {nn.Linear: theirs.Epsilon(1e-6)}, {lrpref.LinearLayer: ours.Epsilon(1e-6)}
    else:
        model = norm(nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)))
        there, here = {nn.Linear: theirs.Epsilon(1e-6)}, {lrpref.LinearLayer: ours.Epsilon(1e-6)}
    R = by_zennit(model, {nn.ReLU: theirs.Pass(), **there}, x, seed)
    told = {"gamma-zero-lost": (None, one), "seed-one": ([0, 2], "logit")}.get(name, ([0, 2], "one"))
    found = lrpref.crosscheck(model, x, R, by_lrpref(here), *told, tolerance=1e-9)
    assert not found.equal
    assert (name,) in [match.names for match in found.matches]
