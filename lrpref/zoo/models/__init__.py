"""Well-known networks as graphs of explicit layers, at any width and image size.

    simple_cnn          convolutions and max-pools, then two Dense layers
    vgg16, vgg19        Simonyan and Zisserman 2015 (arXiv 1409.1556), with BatchNorm or without
    resnet20            He et al. 2016 (arXiv 1512.03385), sec. 4.2, for CIFAR-10, with shortcut A or B
    resnet50            He et al. 2016, table 1, with bottlenecks

Nodes have the names of torchvision's modules ("features.0", "layer1.0.conv1", "fc"), so that weights trained there are
found by name. The outputs are logits, without a softmax. For images smaller than 64 x 64 a network takes the form that
is usual for CIFAR-10. Weights are random (`seed`), given (`state`, see `lrpref.weights.from_state_dict`), or zero: with
`seed=None` a network of any size takes no memory, which is enough to inspect its graph and shapes.

>>> net = resnet20(seed=None)
>>> net.names[:4], net.shapes((1, 3, 32, 32))[net.output]
(['conv1', 'bn1', 'relu', 'layer1.0.conv1'], (1, 10))
"""

from .cnn import simple_cnn
from .resnet import resnet20, resnet50
from .vgg import vgg16, vgg19

__all__ = ["resnet20", "resnet50", "simple_cnn", "vgg16", "vgg19"]
