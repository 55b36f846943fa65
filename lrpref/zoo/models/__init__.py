"""Networks people know, as graphs of explicit layers, at any width and image size.

    simple_cnn          convolutions and poolings, then two Dense layers
    vgg16, vgg19        Simonyan and Zisserman 2015 (arXiv 1409.1556), with BatchNorm or without
    resnet20            He et al. 2016 (arXiv 1512.03385), sec. 4.2, for CIFAR-10, with shortcut A or B
    resnet50            He et al. 2016, table 1, with bottlenecks

Nodes are called as torchvision calls its modules ("features.0", "layer1.0.conv1", "fc"), so that weights trained
there are found by name. Every builder takes

    width        a factor for all numbers of channels
    num_classes  the number of outputs, which are logits: there is no softmax at the end
    input_shape  (C, H, W) of one image; below 64 x 64 the network takes the form that is usual for CIFAR-10
    seed         a number or a NumPy generator for random weights (`blueprint.initialised`); None leaves every weight
                 zero and takes no memory, whatever the size: for looking at a graph and its shapes
    state        a mapping of names to arrays, in place of random weights (`lrpref.weights.from_state_dict`)

and returns a `lrpref.Network` in float32 (or in the number type of `state`).

>>> net = resnet20(seed=None)
>>> net.names[:4], net.shapes((1, 3, 32, 32))[net.output]
(['conv1', 'bn1', 'relu', 'layer1.0.conv1'], (1, 10))
"""

from .cnn import simple_cnn
from .resnet import resnet20, resnet50
from .vgg import vgg16, vgg19

__all__ = ["resnet20", "resnet50", "simple_cnn", "vgg16", "vgg19"]
