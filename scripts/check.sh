#!/bin/sh
# One command that checks all: types, lint, dead code, and the tests (the arrows among them).
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
. "$ROOT/scripts/node.sh"
ensure_installed
cd "$ROOT"
PATH="$(dirname "$KILN_NODE"):$PATH"
export PATH
"$KILN_NODE" node_modules/typescript/bin/tsc --noEmit
"$KILN_NODE" node_modules/typescript/bin/tsc --noEmit -p web
"$KILN_NODE" node_modules/@biomejs/biome/bin/biome check .
"$KILN_NODE" node_modules/knip/bin/knip.js
exec sh scripts/test.sh "$@"
