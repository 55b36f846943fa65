#!/bin/sh
# Make a virtual environment with torch, Keras, ONNX, scikit-learn and four libraries of LRP. Usage: sh setup.sh FOLDER
#
# zennit asks for torchvision, but only to test what type a model's blocks are. Where torchvision is not already in
# the environment, a stand-in of empty classes is put there, so that one wheel less has to be found and matched.
set -eu
venv=${1:?usage: sh setup.sh FOLDER}

"${PYTHON:-python3}" -m venv "$venv"
pip="$venv/bin/pip"
"$pip" install -q torch==2.13.0 numpy scipy pytest hypothesis click pillow keras h5py onnx scikit-learn tqdm packaging matplotlib
"$pip" install -q --no-deps --ignore-requires-python zennit==1.0.0 captum==0.9.0 lxt==2.1 autolrp==0.2.0

"$venv/bin/python" - <<'PYTHON'
import importlib.util
import pathlib
import sysconfig

FILES = {
    "__init__.py": "from . import models, ops\n",
    "ops.py": "class FrozenBatchNorm2d: ...\n",
    "models/__init__.py": "from . import resnet, vgg\n",
    "models/resnet.py": "class BasicBlock: ...\n\n\nclass Bottleneck: ...\n",
    "models/vgg.py": "class VGG: ...\n",
}
if importlib.util.find_spec("torchvision") is None:
    package = pathlib.Path(sysconfig.get_path("purelib"), "torchvision")
    (package / "models").mkdir(parents=True)
    for name, text in FILES.items():
        (package / name).write_text(text)
    print(f"put a stand-in for torchvision into {package}")
import zennit

print("zennit imports; run: python -m pytest tests/agreement tests/test_adapters.py")
PYTHON
