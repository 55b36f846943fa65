"""Sentences as the indices of words, for networks that begin with an `Embedding`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import InputError, shown

SENTENCES: Mapping[str, tuple[str, str]] = {
    "review-good": ("Witty, touching and well paced.", "favourable"),
    "review-bad": ("A great idea becomes a not great movie.", "unfavourable"),
    "review-hard": ("It never fails to engage us.", "favourable"),
}
"""Sentences of film reviews, which come with lrpref, and how people rated them (samples/README.md)."""

UNKNOWN = "?"
"""What stands in a vocabulary for all words that are not in it."""

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|[0-9]+|[.,!?;:]")


def words(sentence: str) -> list[str]:
    """Return the words of an English sentence, or of one in `SENTENCES`, in lower case.

    Numbers and punctuation marks are words of their own.

    >>> words("It's 3 times funny, really!")
    ["it's", '3', 'times', 'funny', ',', 'really', '!']
    """
    return _WORD.findall(SENTENCES.get(sentence, (sentence,))[0].lower())


def indices(sentence: str, vocabulary: Sequence[str]) -> np.ndarray:
    """Return a sentence as a batch of one: the index of each of its words in a vocabulary.

    Parameters
    ----------
    sentence : str
        A sentence, or the name of one in `SENTENCES`.
    vocabulary : sequence of str
        The words, one of which is `UNKNOWN`.

    Returns
    -------
    numpy.ndarray, shape (1, T)
        Whole numbers in float32, as networks take them.

    Raises
    ------
    InputError
        If the sentence has no words.

    Examples
    --------
    >>> indices("A good film.", ["", "?", "film", "good"])
    array([[1., 3., 2., 1.]], dtype=float32)
    """
    found = words(sentence)
    if not found:
        raise InputError(f"{shown(sentence)} has no words")
    place = {word: i for i, word in enumerate(vocabulary)}
    return np.array([[place.get(word, place[UNKNOWN]) for word in found]], np.float32)
