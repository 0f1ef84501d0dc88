#!/bin/sh
# Checks postern.v1: buf's lint, its format, and that nothing changed which old sinks rely on.
#
#   proto/lint.sh                  check
#   proto/lint.sh --move-baseline  make today's files the baseline of the breaking-change check
#
# The baseline is moved with each release. Before the first one it is also moved in the commit that changes
# the contract, with the reason in docs/decisions/.
set -eu
cd "$(dirname "$0")"

buf() { npx --yes @bufbuild/buf@1.75.0 "$@"; }

if [ "${1:-}" = "--move-baseline" ]; then
    # Without comments, so that they may be improved without touching the baseline.
    buf build --exclude-source-info -o baseline.binpb
    exit 0
fi

buf lint
buf format --diff --exit-code
buf breaking --against baseline.binpb
