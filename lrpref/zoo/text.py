"""Sentences as the indices of words, for networks that begin with an `Embedding`."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

UNKNOWN = "?"
"""What stands in a vocabulary for all words that are not in it."""

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|[0-9]+|[.,!?;:]")


def words(sentence: str) -> list[str]:
    """Return the words of an English sentence in lower case; numbers and punctuation marks are words of their own."""
    return _WORD.findall(sentence.lower())


def indices(sentence: str, vocabulary: Sequence[str]) -> np.ndarray:
    """Return a sentence as a batch of one: the index of each of its words in a vocabulary."""
    place = {word: i for i, word in enumerate(vocabulary)}
    return np.array([[place.get(word, place[UNKNOWN]) for word in words(sentence)]], np.float32)
