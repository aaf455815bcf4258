#!/bin/sh
# make_venv.sh PYTHON DIR: a virtual environment, with the distribution's venv package where it is missing.
set -eu
python=$1
dir=$2
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "nixenv needs Python 3.10 or newer: make PYTHON=python3.12 ..." >&2
    exit 1
}
if ! "$python" -m venv "$dir" 2>/dev/null; then
    rm -rf "$dir"
    [ "$(id -u)" = 0 ] && sudo="" || sudo=sudo
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
    "$python" -m venv "$dir"
fi
