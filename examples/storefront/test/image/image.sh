#!/bin/sh
# Run inside the fresh image: what only shows there.
set -eu
for file in server.js worker.js migrate.js public/catalogue.json; do
  [ -f "$file" ] || { echo "not in the image: $file" >&2; exit 1; }
done
for file in .git README.md; do
  [ ! -e "$file" ] || { echo "should not be in the image: $file" >&2; exit 1; }
done
node migrate.js
echo "the image holds what it needs"
