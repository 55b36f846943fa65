#!/usr/bin/env bash
# Build the wheel of lrp-cases, install it alone on the oldest Python at hand, and judge a file of answers there.
# The answers are those of a program without lrpref and NumPy, and the judge must turn red when one is altered.
#
#     tests/check_cases.sh WORK [PYTHON]
set -euo pipefail
work=$1
oldest_python() { # the oldest Python since 3.8 on the path, or among those of pyenv
    for minor in $(seq 8 30); do
        for python in "python3.$minor" "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$minor".*/bin/python; do
            "$python" -c "import venv, pip" 2> /dev/null && echo "$python" && return
        done
    done
}
python=${2:-$(oldest_python)}
"$python" --version
export PIP_DISABLE_PIP_VERSION_CHECK=1
"$python" -m venv --without-pip "$work/cases-env"
bare="$work/cases-env/bin"
"$python" -m pip wheel -q --no-deps -w "$work/cases-wheel" ./cases
"$python" -m pip --python "$bare/python" install -q --no-index "$work"/cases-wheel/lrp_cases-*.whl
cp cases/tests/plain_lrp.py "$work"
cd "$work"
if "$bare/python" -c "import lrpref" 2> /dev/null || "$bare/python" -c "import numpy" 2> /dev/null; then
    echo "this environment is not bare" >&2
    exit 1
fi

judge() { # judge EXPECTED ARGUMENTS...: the exit code must be this one
    local expected=$1 code=0
    shift
    "$bare/lrp-cases" judge "$@" || code=$?
    test "$code" = "$expected" || { echo "lrp-cases judge $* exits $code instead of $expected" >&2; exit 1; }
}
"$bare/lrp-cases" ask --profile core > questions.json
"$bare/python" plain_lrp.py < questions.json > answers.json
"$bare/python" plain_lrp.py --wrong < questions.json > altered.json
echo '{}' > none.json
judge 0 answers.json --profile core --badge badge.json
judge 1 altered.json --profile core --draft-known known.json > altered.txt
judge 0 altered.json --profile core --known known.json > kept.txt
judge 1 answers.json --profile core --known known.json > fixed.txt
judge 2 missing.json 2> refused.txt
judge 3 none.json > none.txt
grep -q '"brightgreen"' badge.json
grep -q '^ *1  differs$' altered.txt
grep -q 'listed, but agrees now' fixed.txt
grep -q '^lrp-cases: missing.json cannot be read' refused.txt
"$bare/python" -m compileall -q "$work/cases-env"/lib/python*/site-packages/lrp_cases
