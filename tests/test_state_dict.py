"""Parameters by name: those that fit are copied exactly, those that do not are listed in one error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import lrpref
from lrpref import Add, BatchNorm, Conv2D, Dense, Flatten, Network, ReLU, ThreshReLU
from lrpref.errors import WeightsError
from lrpref.weights import from_state_dict
from lrpref.weights.state_dict import as_array

RNG = np.random.default_rng(3)


def net() -> Network:
    """Every kind of parameter, one layer without a bias, and one that two nodes share."""
    twice = Dense(np.zeros((4, 4)), np.zeros(4))
    norm = BatchNorm(np.ones(2), np.zeros(2), np.zeros(2), np.ones(2))
    return Network(
        [
            ("conv", Conv2D(np.zeros((2, 1, 3, 3))), ["input"]),
            ("block.bn", norm, ["conv"]),
            ("cut", ThreshReLU(np.zeros(2), below=np.zeros(2, dtype=bool)), ["block.bn"]),
            ("flatten", Flatten(), ["cut"]),
            ("fc", Dense(np.zeros((4, 8)), np.zeros(4)), ["flatten"]),
            ("first", twice, ["fc"]),
            ("relu", ReLU(), ["first"]),
            ("second", twice, ["relu"]),
            ("sum", Add(), ["second", "fc"]),
        ]
    )


def state() -> dict[str, np.ndarray]:
    """A state dict that fits `net()`."""

    def numbers(*shape: int) -> np.ndarray:
        return RNG.normal(size=shape).astype(np.float32)

    return {
        "conv.weight": numbers(2, 1, 3, 3),
        "block.bn.weight": numbers(2),
        "block.bn.bias": numbers(2),
        "block.bn.running_mean": numbers(2),
        "block.bn.running_var": numbers(2) ** 2,
        "block.bn.num_batches_tracked": np.array(7),
        "cut.threshold": numbers(2),
        "cut.below": np.array([True, False]),
        "fc.weight": numbers(4, 8),
        "fc.bias": numbers(4),
        "first.weight": numbers(4, 4),
        "first.bias": numbers(4),
    }


def test_every_parameter_is_taken_over_to_the_bit() -> None:
    given_state, empty = state(), net()
    filled = from_state_dict(empty, given_state)
    assert filled.names == empty.names
    assert_array_equal(filled["conv"].weight, given_state["conv.weight"])
    assert_array_equal(filled["block.bn"].weight, given_state["block.bn.weight"])
    assert_array_equal(filled["block.bn"].mean, given_state["block.bn.running_mean"])
    assert_array_equal(filled["block.bn"].var, given_state["block.bn.running_var"])
    assert_array_equal(filled["cut"].below, given_state["cut.below"])
    assert_array_equal(filled["fc"].bias, given_state["fc.bias"])
    assert filled["first"] is filled["second"]
    assert filled["block.bn"].eps == empty["block.bn"].eps
    assert filled.dtype == np.float32
    assert not np.any(empty["fc"].weight)  # the original network is unchanged


def test_the_order_of_the_names_does_not_matter() -> None:
    given_state = state()
    backwards = dict(reversed(given_state.items()))
    x = RNG.normal(size=(1, 1, 4, 4))
    assert_array_equal(from_state_dict(net(), given_state)(x), from_state_dict(net(), backwards)(x))


def test_a_layer_at_two_nodes_goes_by_either_name() -> None:
    given_state = state()
    other = {k.replace("first.", "second."): v for k, v in given_state.items()}
    assert_array_equal(from_state_dict(net(), other)["first"].weight, given_state["first.weight"])
    both = {**given_state, **other}
    assert_array_equal(from_state_dict(net(), both)["first"].weight, given_state["first.weight"])
    both["second.weight"] = both["second.weight"] + 1
    with pytest.raises(WeightsError, match=r"first\.weight and second\.weight belong to one shared layer but differ"):
        from_state_dict(net(), both)


def test_every_misfit_is_in_one_error() -> None:
    wrong = state()
    del wrong["conv.weight"], wrong["first.bias"]
    wrong["fc.weight"] = wrong["fc.weight"].T
    wrong["fc2.bias"] = np.zeros(4)
    wrong["fc.bias"] = np.arange(4)
    wrong["block.bn.running_var"] = -wrong["block.bn.running_var"] - 1
    with pytest.raises(WeightsError) as caught:
        from_state_dict(net(), wrong)
    message = str(caught.value)
    assert "missing: conv.weight (2, 1, 3, 3), first.bias (4,)" in message
    assert "unexpected: fc2.bias" in message
    assert "wrong shape: fc.weight is (8, 4), expected (4, 8)" in message
    assert "wrong dtype: fc.bias is int64, expected float64" in message
    assert "unusable: block.bn: BatchNorm var" in message


def test_a_bias_that_the_network_does_not_have_is_unexpected() -> None:
    with pytest.raises(WeightsError, match=r"unexpected: conv\.bias"):
        from_state_dict(net(), {**state(), "conv.bias": np.zeros(2)})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(value: float) -> None:
    wrong = state()
    wrong["fc.bias"][1] = value
    with pytest.raises(WeightsError, match=r"unusable: fc: Dense bias holds NaN or infinities"):
        from_state_dict(net(), wrong)


@pytest.mark.parametrize("value", [[[1.0], [1.0, 2.0]], "weights", None, object()])
def test_what_is_no_array(value: Any) -> None:
    with pytest.raises(WeightsError, match=r"fc\.bias"):
        from_state_dict(net(), {**state(), "fc.bias": value})


def test_half_precision_is_for_storage() -> None:
    half = {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in state().items()}
    filled = from_state_dict(net(), half)
    assert filled["fc"].weight.dtype == np.float32
    assert_array_equal(filled["fc"].weight, half["fc.weight"].astype(np.float32))


def test_arrays_may_be_read_lazily() -> None:
    """Each array of the network is read once, and no other array is read."""
    held, asked = state(), []

    class Lazy(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            asked.append(key)
            return held[key]

        def __contains__(self, key: object) -> bool:
            return key in held

        def __iter__(self) -> Iterator[str]:
            return iter(held)

        def __len__(self) -> int:
            return len(held)

    from_state_dict(net(), Lazy())
    assert sorted(asked) == sorted(k for k in held if "num_batches" not in k)


def test_what_save_wrote_is_a_state_dict_but_for_the_statistics(tmp_path: Any) -> None:
    """lrpref names arrays after layer fields; only the statistics of BatchNorm must be renamed to PyTorch's names."""
    dense = Network.sequential(Dense(RNG.normal(size=(2, 3)), RNG.normal(size=2)), names=["fc"])
    lrpref.save(dense, tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as data:
        arrays = {k: data[k] for k in data.files if "." in k}
    empty = Network.sequential(Dense(np.zeros((2, 3)), np.zeros(2)), names=["fc"])
    assert_array_equal(from_state_dict(empty, arrays)["fc"].weight, dense["fc"].weight)


@given(st.data())
def test_any_change_to_the_names_or_shapes_is_refused(data: st.DataObject) -> None:
    """The error names the entry; nothing is loaded in part."""
    good = state()
    key = data.draw(st.sampled_from([k for k in good if "num_batches" not in k]))
    change = data.draw(st.sampled_from(["missing", "unexpected", "shape"]))
    if change == "missing":
        del good[key]
    elif change == "unexpected":
        key += "x"
        good[key] = np.zeros(1)
    else:
        good[key] = np.concatenate([good[key], good[key]])
    with pytest.raises(WeightsError, match=key.replace(".", r"\.")):
        from_state_dict(net(), good)


# ---- arrays of other libraries -----------------------------------------------------------------------------------


def test_bfloat16_of_numpy() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed: pip install ml_dtypes")
    x = np.array([1.5, -2.0], dtype=ml_dtypes.bfloat16)
    assert as_array(x).dtype == np.float32
    assert_array_equal(as_array(x), [1.5, -2.0])


def test_state_dicts_of_torch() -> None:
    """Parameters that require gradients, and bfloat16."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[torch]'")
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Flatten()).eval()
    torch.nn.init.normal_(module[1].running_mean)
    nodes = [Conv2D(np.zeros((2, 1, 3, 3)), np.zeros(2)), BatchNorm(*np.zeros((3, 2)), np.ones(2)), Flatten()]
    empty = Network.sequential(*nodes, names=["0", "1", "2"])
    x = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    filled = from_state_dict(empty, dict(module.state_dict(keep_vars=True)))
    np.testing.assert_allclose(filled(x.numpy()), module(x).detach().numpy(), rtol=1e-5, atol=1e-6)
    assert from_state_dict(empty, module.bfloat16().state_dict()).dtype == np.float32
    with torch.no_grad():
        filled_weight = np.array(filled["0"].weight)
        module[0].weight.zero_()
    assert_array_equal(filled["0"].weight, filled_weight)  # a copy: further training does not change it


def test_names_are_strings() -> None:
    net = Network.sequential(Dense(np.zeros((1, 1))), names=["fc"])
    with pytest.raises(WeightsError, match="the names of arrays must be strings, got 1"):
        from_state_dict(net, {"fc.weight": np.ones((1, 1)), 1: np.ones(1)})  # type: ignore[dict-item]
