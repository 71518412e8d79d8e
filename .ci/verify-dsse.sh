#!/bin/sh
# Verifies a DSSE envelope with securesystemslib from PyPI, in a virtual environment that is thrown away.
# usage: .ci/verify-dsse.sh ENVELOPE KEYS [THRESHOLD]      (see verify-dsse.py, whose exit code this has;
# 3: the environment could not be made)
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
environment=$(mktemp -d)
trap 'rm -rf "$environment"' EXIT
trap 'exit 3' HUP INT TERM
{
    python3 -m venv "$environment" &&
        "$environment/bin/python" -m pip install --quiet --disable-pip-version-check 'securesystemslib[crypto]==1.6.0'
} >&2 || { echo "no environment with securesystemslib 1.6.0" >&2; exit 3; }
status=0
"$environment/bin/python" "$here/verify-dsse.py" "$@" || status=$?
exit "$status"
