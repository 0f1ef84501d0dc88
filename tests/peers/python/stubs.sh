#!/bin/sh
# Generates the Python stubs of postern.v1 into a folder. Run the sink with that folder on PYTHONPATH.
#
#   tests/peers/python/stubs.sh FOLDER
#   PYTHONPATH=FOLDER python3 tests/peers/python/one_at_a_time.py 127.0.0.1:7003
#
# PYTHON is the interpreter: a name on the path, or a file, also one relative to where you are.
set -eu
out=$(mkdir -p "$1" && cd "$1" && pwd)
python=${PYTHON:-python3}
case $python in
*/*) python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python") ;;
esac
cd "$(dirname "$0")/../../../proto"
"$python" -m grpc_tools.protoc -I . --python_out="$out" --grpc_python_out="$out" postern/v1/*.proto
