#!/usr/bin/env bash
# Judge lrp.js in Node and try the page in headless Chromium. What is missing is installed if it can be (Debian's
# packages, as root), and otherwise named as skipped.
#
#     tests/play/check.sh WORK
set -euo pipefail
work=$1
cd "$(dirname "$0")/../.."
export PYTHONPATH="$PWD/cases"
export PIP_DISABLE_PIP_VERSION_CHECK=1
python3 -m venv --without-pip "$work/browser-env"
python="$work/browser-env/bin/python"
python3 -m pip --python "$python" install -q -e ".[testing,browser]"

provide() { # provide COMMAND PACKAGE...: install Debian's packages unless the command is there
    local command=$1
    shift
    command -v "$command" > /dev/null && return 0
    if [[ $(id -u) == 0 ]] && command -v apt-get > /dev/null; then
        { apt-get update -q && apt-get install -y -q --no-install-recommends "$@"; } > "$work/apt.log" 2>&1 || true
    fi
    command -v "$command" > /dev/null
}

if provide node nodejs; then
    "$python" -m lrp_cases ask --float --profile core > "$work/questions.json"
    node tests/play/answer.js < "$work/questions.json" > "$work/answers.json"
    "$python" -m lrp_cases judge "$work/answers.json" --profile core
    "$python" -m pytest -q -m "slow or not slow" tests/test_lrp_js.py
else
    echo "SKIPPED: the conformance cases and the agreement of lrp.js with lrpref, because Node is not installed"
fi
if { provide chromium chromium || command -v google-chrome > /dev/null; } && provide chromedriver chromium-driver; then
    "$python" -m pytest -q tests/test_play_page.py
else
    echo "SKIPPED: the page in a browser, because Chromium and its driver are not installed"
fi
