#!/usr/bin/env bash
# Build the wheel, install it alone in a fresh environment, and explain a digit far away from the checkout:
# weights and samples must come out of the wheel, and NumPy must be enough.
set -euo pipefail
work=$1
python3 -m pip wheel -q --no-deps -w "$work/wheel" .
python3 -m venv --without-pip "$work/wheel-env"
python3 -m pip --python "$work/wheel-env/bin/python" install -q "$work"/wheel/lrpref-*.whl
cd "$work"
wheel-env/bin/python - <<'PYTHON'
import lrpref

net = lrpref.fuse(lrpref.load("mnist-cnn-bn"))
tr = lrpref.trace(net, lrpref.samples.load("digit-4"))
assert int(tr.target[0]) == 4, tr.target
assert "site-packages" in lrpref.__file__, lrpref.__file__
print("the wheel explains digit-4:", lrpref.weights.names())
PYTHON
wheel-env/bin/lrpref conform lrpref --only "gamma-*" | grep -q " 0  differs "  # the cases come out of the wheel
wheel-env/bin/lrpref rules > /dev/null
wheel-env/bin/python -c "import pytest_lrp_cases"  # the pytest option of the wheel
wheel-env/bin/lrpref play mnist-mlp --out play.html --no-open && grep -q '"mnist-mlp"' play.html  # with its scripts
