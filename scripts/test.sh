#!/bin/sh
# The one command that runs all the tests: installs and builds first where needed.
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
. "$ROOT/scripts/node.sh"
ensure_installed
ensure_built
cd "$ROOT"
PATH="$(dirname "$KILN_NODE"):$PATH"
export PATH
exec "$KILN_NODE" node_modules/vitest/vitest.mjs run "$@"
