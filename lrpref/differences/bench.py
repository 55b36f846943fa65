"""One explanation, computed under any conventions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..arithmetic import is_exact
from ..backend import Array, to_numpy
from ..composites import Composite, Place, resolve
from ..engine import Rule
from ..errors import RelevanceWarning
from ..network import Network
from ..rational.conversion import to_float
from ..scale.explanation import explain
from .choices import Case, Convention, Start
from .comparison import ROUNDING, worst_distance


@dataclass(frozen=True, eq=False)
class Setting:
    """Everything that the explanation of one input depends on."""

    net: Network
    rows: tuple[tuple[Place, Rule], ...]
    target: Any
    seed: Any

    @property
    def key(self) -> tuple[Any, ...]:
        """A key that is equal for equal settings. It contains addresses: keep the settings alive."""
        layers = tuple(id(layer) for _, layer, _ in self.net.nodes)
        return layers, tuple(_key(rule) for _, rule in self.rows), _key(self.target), _key(self.seed)


def _key(value: Any) -> Any:
    """The key of a value: type and parameters of a rule, a number or text itself, else the address."""
    if isinstance(value, Rule):
        return type(value), tuple(_key(getattr(value, field.name)) for field in fields(value))
    return value if isinstance(value, str | int | float | None) else id(value)


class Bench:
    """One explanation, to be computed under any conventions."""

    def __init__(self, net: Network, x: Array, rule: Any, target: Any, seed: Any) -> None:
        net = net.to("numpy")
        exact = net.dtype == np.dtype(object) or is_exact(x)
        net = net if exact else net.astype(np.float64)
        cast = to_numpy(net.cast(to_numpy(x) if hasattr(x, "dtype") else x))
        self.x = cast if exact else cast.astype(np.float64)
        self._rule, self._target, self._seed = resolve(rule), target, seed
        self._nets: dict[tuple[str, ...], Network] = {(): net}
        self._settings: dict[tuple[str, ...], Setting] = {}
        self._logits: dict[int, np.ndarray] = {}
        self._maps: dict[tuple[Any, ...], np.ndarray] = {}
        self.plain = self._explain(self._setting(()))

    def map(self, conventions: tuple[Convention, ...]) -> np.ndarray | None:
        """The map under these conventions; None if they cannot be applied."""
        R = self._attempt(tuple(c for c in conventions if c.show is None))
        for convention in conventions:
            if R is not None and convention.show is not None:
                with np.errstate(all="ignore"):
                    R = convention.show(R)
        return R

    def matters(self, convention: Convention) -> bool:
        """Whether this convention changes the map by more than rounding."""
        R = self.map((convention,))
        return R is not None and (R.shape != self.plain.shape or not worst_distance(self.plain, R) <= ROUNDING)

    def changes(self, conventions: tuple[Convention, ...], others: tuple[Convention, ...]) -> bool:
        """Whether the settings under `conventions` differ from those under `others`."""
        if any(c.show is not None for c in conventions):
            return True
        try:
            return self._setting(conventions).key != self._setting(others).key
        except Exception:
            return False

    def _attempt(self, conventions: tuple[Convention, ...]) -> np.ndarray | None:
        """The map, without warnings; None if it cannot be computed. Maps under one convention are cached.

        The unchanged map exists, so that any exception is due to the convention: a user's rule may raise anything at
        a layer that it was not meant for.
        """
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RelevanceWarning)
            try:
                setting = self._setting(conventions)
                if setting.key in self._maps:
                    return self._maps[setting.key]
                R = self._explain(setting)
            except Exception:
                return None
        if len(conventions) < 2:
            self._maps[setting.key] = R
        return R

    def _explain(self, setting: Setting) -> np.ndarray:
        rule = _by_name(setting.rows)
        return to_float(explain(setting.net, self.x, setting.target, rule, setting.seed))

    def _setting(self, conventions: tuple[Convention, ...]) -> Setting:
        """The network, rules and start under these conventions, each applied to the result of those before it."""
        names = tuple(c.name for c in conventions)
        if names not in self._settings:
            net = self._net(tuple(c for c in conventions if c.network is not None))
            rows = tuple((place, rule) for place, rule, _ in self._rule.assign(net).rows)
            for convention in conventions:
                if convention.rule is not None:
                    case = Case(net, self.x, rows)
                    rows = tuple((place, convention.rule(place, rule, case)) for place, rule in rows)
            self._settings[names] = Setting(net, rows, *self._start(net, conventions))
        return self._settings[names]

    def _net(self, conventions: tuple[Convention, ...]) -> Network:
        """The network under these conventions, built once, so that its layers keep their identity."""
        names = tuple(c.name for c in conventions)
        if names not in self._nets:
            *before, last = conventions
            assert last.network is not None
            self._nets[names] = last.network(self._net(tuple(before)))
        return self._nets[names]

    def _start(self, net: Network, conventions: tuple[Convention, ...]) -> tuple[Any, Any]:
        """Target and seed under these conventions."""
        changes = [c.start for c in conventions if c.start is not None]
        if not changes:
            return self._target, self._seed
        if id(net) not in self._logits:
            self._logits[id(net)] = _logits(net, self.x)
        start = Start(self._target, self._seed, self._logits[id(net)])
        for change in changes:
            start = change(start)
        return start.target, start.seed


def _by_name(rows: Sequence[tuple[Place, Rule]]) -> Composite:
    """The composite that assigns to every linear layer of one network the rule in its row."""
    rules = {place.name: rule for place, rule in rows}
    names = {id(rule): {name for name in rules if rules[name] is rule} for rule in rules.values()}
    pairs = [(lambda place, held=held: place.name in held, next(rules[n] for n in held)) for held in names.values()]
    return Composite(pairs)


def _logits(net: Network, x: np.ndarray) -> np.ndarray:
    """The logits."""
    return to_numpy(net.without_head().forward(x))
