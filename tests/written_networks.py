"""Sixty small networks, written in PyTorch as people write them. `scripts/imported_networks.py` imports them all.

Each is new, small, and in the style in which its kind is usually written. `NETWORKS` lists them with a description and
the shapes of their inputs. LRP-0 is gradient times input in networks of linear layers and of functions f(x) = s x with
a slope s that is constant around x; `law` says why this does not hold for the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn


class Written(NamedTuple):
    """One network: what it is, how to make it, the shapes of its inputs, and why LRP-0 is not gradient times input."""

    what: str
    make: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...]
    law: str = ""


SMOOTH = "its activation is curved"
CLIPPED = "its activation is constant where it saturates"
PRODUCT = "it multiplies activations"
STATISTICS = "it divides by statistics of the sample"


# ---- image classifiers -----------------------------------------------------------------------------------------


class BasicBlock(nn.Module):
    def __init__(self, inplanes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = None
        if stride != 1 or inplanes != planes:
            self.downsample = nn.Sequential(nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(8, 8), BasicBlock(8, 8))
        self.layer2 = nn.Sequential(BasicBlock(8, 12, 2), BasicBlock(12, 12))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer2(self.layer1(x))
        x = torch.flatten(self.avgpool(x), 1)
        return self.fc(x)


def vgg_layers(cfg, channels=3):
    layers = []
    for v in cfg:
        if v == "M":
            layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
        else:
            layers += [nn.Conv2d(channels, v, kernel_size=3, padding=1), nn.BatchNorm2d(v), nn.ReLU(inplace=True)]
            channels = v
    return nn.Sequential(*layers)


class SmallVGG(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = vgg_layers([8, "M", 12, "M"], 1)
        self.classifier = nn.Sequential(nn.Linear(12 * 7 * 7, 20), nn.ReLU(True), nn.Dropout(), nn.Linear(20, 10))

    def forward(self, x):
        x = self.features(x)
        x = x.view(x.size(0), -1)
        return self.classifier(x)


class AdaptiveVGG(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = vgg_layers([6, "M", 8, "M"])
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(nn.Linear(8 * 7 * 7, 16), nn.ReLU(True), nn.Dropout(), nn.Linear(16, 4))

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.classifier(torch.flatten(x, 1))


class InvertedResidual(nn.Module):
    def __init__(self, inp, oup, stride, expand):
        super().__init__()
        hidden = inp * expand
        self.use_res_connect = stride == 1 and inp == oup
        self.conv = nn.Sequential(
            nn.Conv2d(inp, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(True),
            nn.Conv2d(hidden, oup, 1, bias=False), nn.BatchNorm2d(oup),
        )  # fmt: skip

    def forward(self, x):
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(True),
            InvertedResidual(8, 8, 1, 2), InvertedResidual(8, 12, 2, 3), InvertedResidual(12, 12, 1, 3),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(12, 5))

    def forward(self, x):
        x = self.features(x)
        x = x.mean([2, 3])
        return self.classifier(x)


class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduced, gate=nn.Hardsigmoid, activation=nn.ReLU):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1, self.fc2 = nn.Conv2d(channels, reduced, 1), nn.Conv2d(reduced, channels, 1)
        self.activation, self.scale_activation = activation(), gate()

    def forward(self, x):
        scale = self.avgpool(x)
        scale = self.fc2(self.activation(self.fc1(scale)))
        return self.scale_activation(scale) * x


class MobileNetV3(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish(inplace=True))
        self.block = nn.Sequential(
            nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish(inplace=True),
            nn.Conv2d(16, 16, 5, 1, 2, groups=16, bias=False), nn.BatchNorm2d(16), SqueezeExcite(16, 4),
            nn.Hardswish(inplace=True), nn.Conv2d(16, 8, 1, bias=False), nn.BatchNorm2d(8),
        )  # fmt: skip
        self.avgpool, self.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.block(x)
        return self.classifier(torch.flatten(self.avgpool(x), 1))


class MBConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(3, 12, 1, bias=False), nn.BatchNorm2d(12), nn.SiLU())
        self.depthwise = nn.Sequential(nn.Conv2d(12, 12, 3, 1, 1, groups=12, bias=False), nn.BatchNorm2d(12), nn.SiLU())
        self.se = SqueezeExcite(12, 3, nn.Sigmoid, nn.SiLU)
        self.project = nn.Sequential(nn.Conv2d(12, 3, 1, bias=False), nn.BatchNorm2d(3))
        self.head = nn.Linear(3, 4)

    def forward(self, inputs):
        x = self.se(self.depthwise(self.expand(inputs)))
        x = self.project(x) + inputs
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


class DenseLayer(nn.Module):
    def __init__(self, channels, growth):
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(channels), nn.Conv2d(channels, growth, 3, padding=1, bias=False)

    def forward(self, x):
        return torch.cat([x, self.conv(F.relu(self.norm(x)))], 1)


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv0 = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.block = nn.Sequential(*[DenseLayer(6 + 4 * i, 4) for i in range(3)])
        self.transition = nn.Sequential(nn.BatchNorm2d(18), nn.ReLU(), nn.Conv2d(18, 9, 1), nn.AvgPool2d(2))
        self.classifier = nn.Linear(9, 5)

    def forward(self, x):
        x = F.relu(self.transition(self.block(self.conv0(x))), inplace=True)
        x = F.adaptive_avg_pool2d(x, (1, 1))
        return self.classifier(torch.flatten(x, 1))


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch1 = nn.Conv2d(3, 4, 1)
        self.branch2 = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 6, 3, padding=1))
        self.branch3 = nn.Sequential(nn.Conv2d(3, 4, (1, 7), padding=(0, 3)), nn.Conv2d(4, 4, (7, 1), padding=(3, 0)))
        self.branch_pool = nn.Conv2d(3, 2, 1)
        self.fc = nn.Linear(16, 5)

    def forward(self, x):
        branch_pool = self.branch_pool(F.avg_pool2d(x, kernel_size=3, stride=1, padding=1))
        outputs = [self.branch1(x), self.branch2(x), self.branch3(x), branch_pool]
        x = F.relu(torch.cat(outputs, 1))
        x = F.max_pool2d(x, 2)
        return self.fc(x.mean(dim=(2, 3)))


class Fire(nn.Module):
    def __init__(self, inplanes, squeeze, expand):
        super().__init__()
        self.squeeze = nn.Conv2d(inplanes, squeeze, 1)
        self.expand1x1, self.expand3x3 = nn.Conv2d(squeeze, expand, 1), nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2), nn.ReLU(True), nn.MaxPool2d(3, 2, ceil_mode=True),
            Fire(8, 4, 6), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(12, 4, 6),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Conv2d(12, 5, 1), nn.ReLU(True), nn.AdaptiveAvgPool2d((1, 1))
        )

    def forward(self, x):
        return torch.flatten(self.classifier(self.features(x)), 1)


def channel_shuffle(x, groups):
    b, c, h, w = x.size()
    x = x.view(b, groups, c // groups, h, w)
    x = torch.transpose(x, 1, 2).contiguous()
    return x.view(b, -1, h, w)


class ShuffleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.branch = nn.Sequential(
            nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU(True), nn.Conv2d(4, 4, 3, 1, 1, groups=4), nn.BatchNorm2d(4),
            nn.Conv2d(4, 4, 1), nn.ReLU(True),
        )  # fmt: skip
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x1, x2 = x.chunk(2, dim=1)
        x = channel_shuffle(torch.cat((x1, self.branch(x2)), dim=1), 2)
        return self.fc(x.mean([2, 3]))


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        return super().forward(x).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1, self.act, self.pwconv2 = nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(0.1 * torch.rand(dim))

    def forward(self, x):
        input = x
        x = self.dwconv(x)
        x = x.permute(0, 2, 3, 1)
        x = self.pwconv2(self.act(self.pwconv1(self.norm(x))))
        x = self.gamma * x
        x = x.permute(0, 3, 1, 2)
        return input + x


class ConvNeXt(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 4, 4), LayerNorm2d(6, eps=1e-6))
        self.block, self.norm, self.head = ConvNeXtBlock(6), nn.LayerNorm(6), nn.Linear(6, 5)

    def forward(self, x):
        x = self.block(self.stem(x))
        return self.head(self.norm(x.mean([-2, -1])))


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.cls = nn.Parameter(torch.zeros(1, 1, 8))
        self.pos = nn.Parameter(torch.randn(1, 17, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu", norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1) + self.pos
        return self.head(self.encoder(x)[:, 0])


# ---- small networks and tutorials ------------------------------------------------------------------------------


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(16 * 4 * 4, 30), nn.Linear(30, 20), nn.Linear(20, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(-1, self.num_flat_features(x))
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)

    def num_flat_features(self, x):
        size = x.size()[1:]
        num_features = 1
        for s in size:
            num_features *= s
        return num_features


class MNISTExample(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, 1), nn.Conv2d(4, 8, 3, 1)
        self.dropout1, self.dropout2 = nn.Dropout(0.25), nn.Dropout(0.5)
        self.fc1, self.fc2 = nn.Linear(1152, 16), nn.Linear(16, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.max_pool2d(x, 2)
        x = self.dropout1(x)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = self.dropout2(x)
        x = self.fc2(x)
        return F.log_softmax(x, dim=1)


def mlp():
    return nn.Sequential(
        nn.Linear(12, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3),
        nn.Softmax(dim=1),
    )  # fmt: skip


def nested():
    block = nn.Sequential(nn.Conv2d(3, 6, 4, padding="same"), nn.ReLU())
    body = nn.Sequential(block, nn.Sequential(nn.Conv2d(6, 6, 3, dilation=2, padding="same"), nn.ReLU()))
    return nn.Sequential(body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.Linear(6, 4))


def affine_off():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6, affine=False), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.ReLU(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 3),
    )  # fmt: skip


def weight_norm():
    norm = nn.utils.parametrizations.weight_norm
    return nn.Sequential(norm(nn.Linear(10, 8)), nn.ReLU(), norm(nn.Linear(8, 3)))


def old_weight_norm():
    norm = nn.utils.weight_norm
    return nn.Sequential(norm(nn.Conv2d(3, 4, 3)), nn.ReLU(), nn.Flatten(), norm(nn.Linear(4 * 36, 3)))


def spectral_norm():
    norm = nn.utils.parametrizations.spectral_norm
    return nn.Sequential(
        norm(nn.Conv2d(3, 6, 4, 2, 1)), nn.LeakyReLU(0.2), norm(nn.Conv2d(6, 8, 4, 2, 1)), nn.LeakyReLU(0.2),
        nn.Flatten(), norm(nn.Linear(32, 1)),
    )  # fmt: skip


def small_cnn():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(96, 4)
    )


def sync_batch_norm():
    return nn.SyncBatchNorm.convert_sync_batchnorm(small_cnn())


def data_parallel():
    return nn.DataParallel(small_cnn())


def local_max():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    )


def unflatten():
    return nn.Sequential(
        nn.Linear(6, 32), nn.ReLU(), nn.Unflatten(1, (8, 2, 2)), nn.ConvTranspose2d(8, 4, 4, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(4, 1, 4, 2, 1),
    )  # fmt: skip


class Normalised(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.net = small_cnn()

    def forward(self, x):
        return self.net((x - self.mean) / self.std)


class Pixels(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = small_cnn()

    def forward(self, x):
        x = x / 255.0
        return self.net(x)


class Scaled(nn.Module):
    """Residual scaling, as in networks for super-resolution and in Inception-ResNet."""

    def __init__(self):
        super().__init__()
        self.conv, self.branch = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.fc, self.scale = nn.Linear(6, 4), nn.Parameter(torch.tensor(1.7))

    def forward(self, x):
        x = F.relu(self.conv(x))
        x = 0.3 * self.branch(x) + x
        out = self.fc(F.relu(x).mean((2, 3)))
        return out * self.scale


class Squeezed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.pool, self.fc = nn.Conv2d(3, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Linear(6, 4)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv(x)))
        return self.fc(x.squeeze(-1).squeeze(-1))


class Clamped(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(10, 12), nn.Linear(12, 2)

    def forward(self, x):
        h = self.fc1(x).clamp(min=0)
        return self.fc2(h)


class Regression(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, x):
        return self.layers(x).squeeze(1)


# ---- dense prediction ------------------------------------------------------------------------------------------


def double_conv(c_in, c_out, conv=nn.Conv2d, norm=nn.BatchNorm2d):
    return nn.Sequential(
        conv(c_in, c_out, 3, padding=1), norm(c_out), nn.ReLU(True), conv(c_out, c_out, 3, padding=1), nn.ReLU(True)
    )


class UNet(nn.Module):
    def __init__(self, up):
        super().__init__()
        self.inc, self.down, self.pool = double_conv(1, 4), double_conv(4, 8), nn.MaxPool2d(2)
        self.up, self.dec, self.outc = up, double_conv(12, 4), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.up(self.down(self.pool(x1)))
        return self.outc(self.dec(torch.cat([x1, x2], dim=1)))


class UNetTransposed(nn.Module):
    def __init__(self):
        super().__init__()
        self.inc, self.down, self.pool = double_conv(1, 4), double_conv(4, 8), nn.MaxPool2d(2)
        self.up, self.dec, self.outc = nn.ConvTranspose2d(8, 4, 2, stride=2), double_conv(8, 4), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.up(self.down(self.pool(x1)))
        diff_y, diff_x = x1.size(2) - x2.size(2), x1.size(3) - x2.size(3)
        x2 = F.pad(x2, [diff_x // 2, diff_x - diff_x // 2, diff_y // 2, diff_y - diff_y // 2])
        return self.outc(self.dec(torch.cat([x1, x2], dim=1)))


class UNet3D(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = double_conv(1, 4, nn.Conv3d, nn.BatchNorm3d)
        self.mid = double_conv(4, 8, nn.Conv3d, nn.BatchNorm3d)
        self.pool, self.up = nn.MaxPool3d(2), nn.ConvTranspose3d(8, 4, 2, 2)
        self.dec = nn.Sequential(double_conv(8, 4, nn.Conv3d, nn.BatchNorm3d), nn.Conv3d(4, 2, 1))

    def forward(self, x):
        e = self.enc(x)
        d = self.up(self.mid(self.pool(e)))
        return self.dec(torch.cat((e, d), 1))


class SuperResolution(nn.Module):
    def __init__(self, upscale_factor=3):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 5, 1, 2), nn.Conv2d(8, 4, 3, 1, 1)
        self.conv3 = nn.Conv2d(4, upscale_factor**2, 3, 1, 1)
        self.pixel_shuffle = nn.PixelShuffle(upscale_factor)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return self.pixel_shuffle(self.conv3(x))


def reflect():
    return nn.Sequential(
        nn.ReflectionPad2d(3), nn.Conv2d(3, 6, 7), nn.ReLU(True), nn.Conv2d(6, 6, 3, 2, 1, padding_mode="reflect"),
        nn.ReLU(True), nn.ReflectionPad2d(1), nn.Conv2d(6, 3, 3),
    )  # fmt: skip


def dilated_pool():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(3, stride=1, padding=1, dilation=2), nn.Conv2d(6, 4, 3),
        nn.ReLU(), nn.AdaptiveMaxPool2d((1, 1)), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip


# ---- signals, sequences and volumes ----------------------------------------------------------------------------


class AudioNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.pool1 = nn.Conv1d(1, 8, kernel_size=9, stride=4), nn.BatchNorm1d(8), nn.MaxPool1d(2)
        self.conv2, self.bn2, self.pool2 = nn.Conv1d(8, 8, kernel_size=3), nn.BatchNorm1d(8), nn.MaxPool1d(2)
        self.fc1 = nn.Linear(8, 5)

    def forward(self, x):
        x = self.pool1(F.relu(self.bn1(self.conv1(x))))
        x = self.pool2(F.relu(self.bn2(self.conv2(x))))
        x = F.avg_pool1d(x, x.shape[-1])
        x = x.permute(0, 2, 1)
        x = self.fc1(x)
        return F.log_softmax(x, dim=2)


def volume_net():
    return nn.Sequential(
        nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(4, 6, 3), nn.ReLU(),
        nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(6, 3),
    )  # fmt: skip


class Chomp1d(nn.Module):
    def __init__(self, chomp):
        super().__init__()
        self.chomp = chomp

    def forward(self, x):
        return x[:, :, : -self.chomp].contiguous()


class TemporalBlock(nn.Module):
    def __init__(self, c_in, c_out, dilation):
        super().__init__()
        self.net = nn.Sequential(
            nn.utils.parametrizations.weight_norm(nn.Conv1d(c_in, c_out, 3, padding=2 * dilation, dilation=dilation)),
            Chomp1d(2 * dilation), nn.ReLU(), nn.Dropout(0.2),
        )  # fmt: skip
        self.downsample = nn.Conv1d(c_in, c_out, 1) if c_in != c_out else None

    def forward(self, x):
        res = x if self.downsample is None else self.downsample(x)
        return F.relu(self.net(x) + res)


class TCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.tcn = nn.Sequential(TemporalBlock(2, 6, 1), TemporalBlock(6, 6, 2), TemporalBlock(6, 6, 4))
        self.linear = nn.Linear(6, 3)

    def forward(self, x):
        return self.linear(self.tcn(x)[:, :, -1])


class WaveNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.start = nn.Conv1d(1, 6, 1)
        self.filters = nn.ModuleList([nn.Conv1d(6, 6, 2, dilation=d) for d in (1, 2, 4)])
        self.gates = nn.ModuleList([nn.Conv1d(6, 6, 2, dilation=d) for d in (1, 2, 4)])
        self.residual = nn.ModuleList([nn.Conv1d(6, 6, 1) for _ in range(3)])
        self.end = nn.Conv1d(6, 4, 1)

    def forward(self, x):
        x = self.start(x)
        for i, (f, g, r) in enumerate(zip(self.filters, self.gates, self.residual, strict=True)):
            padded = F.pad(x, (2**i, 0))
            h = torch.tanh(f(padded)) * torch.sigmoid(g(padded))
            x = x + r(h)
        return self.end(F.relu(x))


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.fc = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.fc(out[:, -1, :])


# ---- normalisations and activations ----------------------------------------------------------------------------


def group_norm():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(4, 8), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.GroupNorm(2, 8),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )  # fmt: skip


def layer_norm():
    return nn.Sequential(
        nn.Linear(10, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 8), nn.LayerNorm(8), nn.Linear(8, 3)
    )


def instance_norm():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.InstanceNorm2d(6), nn.ReLU(True), nn.Conv2d(6, 6, 3), nn.InstanceNorm2d(6, affine=True),
        nn.ReLU(True), nn.Conv2d(6, 3, 3),
    )  # fmt: skip


def dense_with(activation):
    return lambda: nn.Sequential(nn.Linear(10, 12), activation(), nn.Linear(12, 8), activation(), nn.Linear(8, 3))


def convolutions_with(*activations):
    def make():
        layers, channels = [], 3
        for activation in activations:
            layers += [nn.Conv2d(channels, 6, 3), activation()]
            channels = 6
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))

    return make


class SelfNormalising(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(10, 12), nn.Linear(12, 8), nn.Linear(8, 3)
        self.drop = nn.AlphaDropout(0.1)

    def forward(self, x):
        x = self.drop(F.selu(self.fc1(x)))
        x = F.celu(self.fc2(x), alpha=0.5)
        return self.fc3(x)


# ---- forms of forward ------------------------------------------------------------------------------------------


class Split(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 9, 3)
        self.a, self.b, self.fc = nn.Conv2d(3, 4, 1), nn.Conv2d(6, 4, 1), nn.Linear(8, 3)

    def forward(self, x):
        a, b = torch.split(F.relu(self.conv(x)), [3, 6], dim=1)
        x = torch.cat([F.relu(self.a(a)), F.relu(self.b(b))], dim=1)
        return self.fc(x.mean(-1).mean(-1))


class RGBOfRGBA(nn.Module):
    def __init__(self):
        super().__init__()
        self.colour, self.alpha, self.fc = nn.Conv2d(3, 5, 3), nn.Conv2d(1, 5, 3), nn.Linear(5, 3)

    def forward(self, x):
        h = F.relu(self.colour(x[:, :3])) + F.relu(self.alpha(x[:, 3:, ...]))
        return self.fc(h.mean((2, 3)))


class Pooled(nn.Module):
    """Maximum and sum over an image, as bags of features are pooled."""

    def __init__(self):
        super().__init__()
        self.conv, self.a, self.b = nn.Conv2d(3, 6, 3), nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, x):
        h = F.relu(self.conv(x))
        return self.a(h.amax(dim=(2, 3))) + self.b(h.sum(dim=(2, 3)))


class Difference(nn.Module):
    def __init__(self):
        super().__init__()
        self.fine, self.coarse, self.fc = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(1, 4, 7, padding=3), nn.Linear(4, 2)

    def forward(self, x):
        a, b = F.relu(self.fine(x)), F.relu(self.coarse(x))
        return self.fc(F.relu(a - b).mean(dim=[2, 3]))


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.feature, self.gate = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(3, 6, 3, padding=1)
        self.out = nn.Conv2d(6, 3, 3, padding=1)

    def forward(self, x):
        x = self.feature(x) * torch.sigmoid(self.gate(x))
        return self.out(x)


class ImageAndTable(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.mlp = nn.Sequential(nn.Linear(5, 6), nn.ReLU())
        self.fc = nn.Linear(12, 3)

    def forward(self, image, table):
        return self.fc(torch.cat([self.cnn(image), self.mlp(table)], dim=1))


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 6))
        self.fc = nn.Linear(6, 1)

    def forward(self, x1, x2):
        e1, e2 = self.encoder(x1), self.encoder(x2)
        return self.fc(F.relu(e1 - e2))


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.age, self.sex = nn.Linear(6, 1), nn.Linear(6, 2)

    def forward(self, x):
        x = self.trunk(x)
        return self.age(x), self.sex(x)


IMAGE = ((2, 3, 8, 8),)
ROW = ((3, 10),)

NETWORKS = {
    "resnet": Written("ResNet-18 blocks, with `out += identity`", ResNet, ((2, 3, 32, 32),)),
    "vgg-bn": Written("VGG with BatchNorm, on 28 x 28", SmallVGG, ((2, 1, 28, 28),)),
    "vgg-adaptive": Written("VGG at another size: `AdaptiveAvgPool2d((7, 7))`", AdaptiveVGG, ((1, 3, 40, 40),)),
    "mobilenet-v2": Written("MobileNetV2: inverted residuals, ReLU6", MobileNetV2, ((2, 3, 16, 16),)),
    "mobilenet-v3": Written("MobileNetV3: squeeze-and-excite, Hardswish", MobileNetV3, ((2, 3, 16, 16),), PRODUCT),
    "efficientnet": Written("EfficientNet's MBConv: SiLU, squeeze-and-excite", MBConvNet, IMAGE, PRODUCT),
    "densenet": Written("DenseNet: concatenations", DenseNet, ((2, 3, 8, 8),)),
    "inception": Written("Inception: four branches, 1 x 7 and 7 x 1", Inception, IMAGE),
    "squeezenet": Written("SqueezeNet: Fire modules, `ceil_mode=True`", SqueezeNet, ((2, 3, 35, 35),)),
    "shufflenet": Written("ShuffleNet: `chunk`, channel shuffle by `view` and `transpose`", ShuffleNet, IMAGE),
    "convnext": Written("ConvNeXt: `permute`, LayerNorm, GELU, layer scale", ConvNeXt, ((2, 3, 16, 16),), STATISTICS),
    "vit": Written("Vision transformer", ViT, ((2, 3, 16, 16),), PRODUCT),
    "lenet": Written("LeNet with `num_flat_features`", LeNet, ((2, 1, 28, 28),)),
    "mnist-example": Written("MNIST tutorial, with `log_softmax` at the end", MNISTExample, ((2, 1, 28, 28),)),
    "mlp": Written("MLP with BatchNorm1d, Dropout and Softmax", mlp, ((3, 12),)),
    "nested": Written('Nested `Sequential`, `padding="same"` with an even kernel and dilation', nested, IMAGE),
    "affine-off": Written("BatchNorm with `affine=False`", affine_off, IMAGE),
    "weight-norm": Written("`parametrizations.weight_norm`", weight_norm, ROW),
    "old-weight-norm": Written("`nn.utils.weight_norm`, the old form", old_weight_norm, IMAGE),
    "spectral-norm": Written("GAN discriminator: `spectral_norm`, LeakyReLU", spectral_norm, IMAGE),
    "sync-batch-norm": Written("`SyncBatchNorm`", sync_batch_norm, IMAGE),
    "data-parallel": Written("`DataParallel`", data_parallel, IMAGE),
    "adaptive-max": Written("`AdaptiveMaxPool2d(1)`", local_max, IMAGE),
    "unflatten": Written("Decoder: Linear, `Unflatten`, transposed convolutions", unflatten, ((3, 6),)),
    "normalised": Written("`(x - mean) / std` in forward, from buffers", Normalised, IMAGE),
    "pixels": Written("`x / 255` in forward", Pixels, IMAGE),
    "scaled": Written("`0.3 * branch + x`, and `out * scale`", Scaled, IMAGE),
    "squeeze": Written("`squeeze(-1).squeeze(-1)` after the pool", Squeezed, IMAGE),
    "clamp": Written("`clamp(min=0)` for a ReLU", Clamped, ROW),
    "regression": Written("Regression, `squeeze(1)` to (N,)", Regression, ((3, 8),)),
    "unet-nearest": Written(
        "U-Net, nearest upsampling", lambda: UNet(nn.Upsample(scale_factor=2, mode="nearest")), ((1, 1, 16, 16),)
    ),
    "unet-bilinear": Written(
        "U-Net, bilinear upsampling, aligned corners",
        lambda: UNet(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)),
        ((1, 1, 16, 16),),
    ),
    "unet-transposed": Written("U-Net, transposed convolution, padded to fit", UNetTransposed, ((1, 1, 17, 18),)),
    "unet-3d": Written("U-Net of volumes", UNet3D, ((1, 1, 8, 8, 8),)),
    "super-resolution": Written("Super-resolution: `PixelShuffle`", SuperResolution, ((1, 1, 8, 8),)),
    "reflect": Written('`ReflectionPad2d` and `padding_mode="reflect"`', reflect, IMAGE),
    "dilated-pool": Written("Max-pooling with dilation", dilated_pool, ((2, 3, 12, 12),)),
    "conv1d": Written("Audio: Conv1d, `F.avg_pool1d(x, x.shape[-1])`, `permute`", AudioNet, ((2, 1, 200),)),
    "conv3d": Written("Volumes: Conv3d, BatchNorm3d, MaxPool3d", volume_net, ((2, 1, 8, 8, 8),)),
    "tcn": Written("Temporal convolutions: causal by cutting off the end", TCN, ((2, 2, 16),)),
    "wavenet": Written("WaveNet: causal padding, gates, dilation", WaveNet, ((2, 1, 16),), PRODUCT),
    "lstm": Written("LSTM", Sequence, ((2, 7, 5),), PRODUCT),
    "group-norm": Written("GroupNorm", group_norm, IMAGE, STATISTICS),
    "layer-norm": Written("MLP with LayerNorm", layer_norm, ROW, STATISTICS),
    "instance-norm": Written("InstanceNorm2d, as in style transfer", instance_norm, IMAGE, STATISTICS),
    "elu": Written("ELU", dense_with(nn.ELU), ROW, SMOOTH),
    "gelu": Written("GELU", dense_with(nn.GELU), ROW, SMOOTH),
    "silu-mish": Written("SiLU and Mish", convolutions_with(nn.SiLU, nn.Mish), IMAGE, SMOOTH),
    "softplus-softsign": Written("Softplus and Softsign", convolutions_with(nn.Softplus, nn.Softsign), IMAGE, SMOOTH),
    "selu-celu": Written("SELU, CELU, AlphaDropout", SelfNormalising, ROW, SMOOTH),
    "hard": Written("Hardtanh and Hardsigmoid", convolutions_with(nn.Hardtanh, nn.Hardsigmoid), IMAGE, CLIPPED),
    "prelu-rrelu": Written("PReLU per channel, RReLU", convolutions_with(lambda: nn.PReLU(6), nn.RReLU), IMAGE),
    "split": Written("`torch.split` in parts of several sizes", Split, IMAGE),
    "slice": Written("`x[:, :3]` and `x[:, 3:]`", RGBOfRGBA, ((2, 4, 8, 8),)),
    "amax-sum": Written("`amax` and `sum` over the image", Pooled, IMAGE),
    "difference": Written("`a - b` of two branches", Difference, ((2, 1, 8, 8),)),
    "gated": Written("Gated convolution: `x * sigmoid(g)`", Gated, IMAGE, PRODUCT),
    "two-inputs": Written("Two inputs: an image and a table", ImageAndTable, ((2, 3, 8, 8), (2, 5))),
    "siamese": Written("Siamese network: two images, shared weights", Siamese, ((2, 1, 8, 8), (2, 1, 8, 8))),
    "heads": Written("Two heads, returned as a tuple", Heads, IMAGE),
}
"""Name -> network; sixty of them."""


def made(name: str) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Return a network in eval mode and a batch for each of its inputs, random and always the same."""
    torch.manual_seed(20)
    module = NETWORKS[name].make()
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.5, 1.5)
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias, 0, 0.3)
    return module.eval(), tuple(torch.rand(shape) * 2 - 0.5 for shape in NETWORKS[name].shapes)


def lasting(module: Any) -> Any:
    """Return a module as exporters take it: nn.DataParallel cannot be exported, its module can."""
    return module.module if isinstance(module, nn.DataParallel) else module
