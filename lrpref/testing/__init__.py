"""Check your own layer, rule, or whole explainer against the laws of relevance.

    check_rule(rule)                    all laws that the tags of a rule promise
    check_layer(layer, x)               all laws of a layer
    check_explainer(explain)            the laws of explain(net, x)
    parametrize_with_checks([...])      the same checks as pytest tests
    smallest(cases, condition)          the smallest case that meets your own condition
    check_linear_in_R(explain, x, R)    a single law: see `lrpref.testing.laws`
    lrpref.testing.strategies           random layers, rules and networks for Hypothesis

A violation is reported with the name of the law, its equation, and the smallest case that Hypothesis finds. The laws
and `check_layer` need only NumPy; the search for cases needs Hypothesis (in the extra "testing").
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
    check_forward,
    check_linear_in_R,
    check_no_mutation,
    check_number_type,
    check_oracle,
    check_routes,
    check_scale_covariance,
    check_shape,
    check_weights,
)
from .layer_checks import check_layer
from .rule_checks import check_rule
from .search import ChecksFailed, Failure, smallest
from .tolerance import rounding

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
    "check_forward",
    "check_layer",
    "check_linear_in_R",
    "check_no_mutation",
    "check_number_type",
    "check_oracle",
    "check_routes",
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
