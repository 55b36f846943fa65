"""Is a heatmap any good? Measuring what it claims, on the network itself.

A heatmap says which inputs an answer was made of. Two kinds of test are here:

    change the input    pixel_flipping, abpc, deletion, insertion: take away what the map calls important
    change the network  parameter_randomisation: a map of a network that knows nothing must look different

A number from such a test means little without its conventions: which output, what is put in the place of a pixel, in
which order, how ties are broken. Here each of them is a named argument (`Conventions`), and every result prints them.
Report a result next to the baselines (`baselines`): gradient x input, random numbers, an edge filter.

    net, x = lrpref.load("mnist-cnn"), lrpref.samples.load("digit-4")
    print(evaluation.abpc(net, x, lrpref.explain(net, x)))

A network is anything that can be called: a batch in, (N, classes) outputs out. The definitions are those of
Bach et al. 2015 (PLoS ONE 10(7):e0130140), Samek et al. 2017 (IEEE TNNLS 28(11):2660), Petsiuk et al. 2018
(arXiv 1806.07421) and Adebayo et al. 2018 (arXiv 1810.03292); each is written out where it is computed.
"""

from . import baselines, fills, maps
from .conventions import BACH2015, DELETION2018, INSERTION2018, SAMEK2017, Conventions
from .flipping import BetweenCurves, Curve, abpc, pixel_flipping
from .insertion import deletion, insertion
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
