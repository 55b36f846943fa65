"""Measures of heatmaps: tests of their claims on the network itself.

A heatmap claims which inputs an output depends on. There are two kinds of tests:

    change the input    pixel_flipping, abpc, deletion, insertion: remove what the map marks as important
    change the network  parameter_randomisation: the map of a network that has learned nothing must look different

A score from such a test means little without its conventions: which output is measured, what replaces a pixel, in
which order, how ties are broken. Each of them is a named argument (`Conventions`), and every result prints them.
Report a result next to the baselines (`baselines`): gradient x input, random numbers, an edge filter.

    net, x = lrpref.load("mnist-cnn"), lrpref.samples.load("digit-4")
    print(evaluation.abpc(net, x, lrpref.explain(net, x)))

The tests that change the input accept any callable that maps a batch to (N, classes) outputs. Each definition is
written out in the module that computes it.

References
----------
Bach et al. 2015, PLoS ONE 10(7):e0130140.
Samek et al. 2017, IEEE TNNLS 28(11):2660.
Petsiuk et al. 2018, arXiv 1806.07421.
Adebayo et al. 2018, arXiv 1810.03292.
"""

from . import baselines, fills, maps
from .conventions import BACH2015, DELETION2018, INSERTION2018, SAMEK2017, Conventions
from .flipping import BetweenCurves, Curve, abpc, pixel_flipping
from .insertion_deletion import deletion, insertion
from .randomisation import Randomisation, parameter_randomisation, randomised

__all__ = [
    "BACH2015",
    "BetweenCurves",
    "Conventions",
    "Curve",
    "DELETION2018",
    "INSERTION2018",
    "Randomisation",
    "SAMEK2017",
    "abpc",
    "baselines",
    "deletion",
    "fills",
    "insertion",
    "maps",
    "parameter_randomisation",
    "pixel_flipping",
    "randomised",
]
