"""Laws of relevance for anyone's layer, rule, or whole explainer.

    check_rule(rule)                    every law that a rule's tags promise, and the smallest case that breaks one
    check_layer(layer, x)               every law of a layer
    check_explainer(explain)            the laws of explain(net, x)
    parametrize_with_checks([...])      the same as pytest tests
    smallest(cases, condition)          the smallest case that meets a condition of yours
    check_linear_in_R(explain, x, R)    one law at a time: see `lrpref.testing.laws`
    lrpref.testing.strategies           random layers, rules and networks for Hypothesis

What does not hold is told by the law's name and equation, with the smallest case that Hypothesis finds for it. The laws
need NumPy alone, and so does `check_layer`; the search for cases needs Hypothesis: pip install "lrpref[testing]".
"""

from .cases import LayerCase, NetworkCase, describe, numbers
from .checks import Check, checks_of, parametrize_with_checks
from .explainer_checks import check_explainer
from .laws import (
    LAWS,
    LawBroken,
    Pair,
    check_adjoint,
    check_batch_independence,
    check_conservation,
    check_finite,
    check_fold,
    check_linear_in_R,
    check_no_mutation,
    check_number_type,
    check_oracle,
    check_scale_covariance,
    check_shape,
    check_weights,
)
from .layer_checks import check_layer
from .rounding import rounding
from .rule_checks import check_rule
from .search import ChecksFailed, Failure, smallest

__all__ = [
    "LAWS",
    "Check",
    "ChecksFailed",
    "Failure",
    "LawBroken",
    "LayerCase",
    "NetworkCase",
    "Pair",
    "check_adjoint",
    "check_batch_independence",
    "check_conservation",
    "check_explainer",
    "check_finite",
    "check_fold",
    "check_layer",
    "check_linear_in_R",
    "check_no_mutation",
    "check_number_type",
    "check_oracle",
    "check_rule",
    "check_scale_covariance",
    "check_shape",
    "check_weights",
    "checks_of",
    "describe",
    "numbers",
    "parametrize_with_checks",
    "rounding",
    "smallest",
]
