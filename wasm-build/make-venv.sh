#!/bin/sh
# make-venv.sh PYTHON FOLDER: a virtual environment with pip, also where Debian ships python3.11 without python3-venv.
# Nothing is installed outside FOLDER and nobody needs to be root.
set -eu
python=$1 folder=$2
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || {
    echo "wasmexec needs CPython 3.11 (it compiles the guest's bytecode with it); '$python' is another version. Set PYTHON=/path/to/python3.11" >&2
    exit 1
}
rm -rf "$folder"
if "$python" -c 'import ensurepip' 2>/dev/null; then
    exec "$python" -m venv "$folder"
fi
"$python" -m venv --without-pip "$folder"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
(cd "$scratch" && apt-get download -qq python3-pip-whl && dpkg-deb -x ./*.deb .) || {
    echo "this Python has no ensurepip and apt-get could not download python3-pip-whl: install python3-venv, then run make again" >&2
    exit 1
}
wheel=$(find "$scratch" -name 'pip-*.whl' | head -n 1)
"$folder/bin/python" "$wheel/pip" install --quiet --no-index --find-links "$(dirname "$wheel")" pip
