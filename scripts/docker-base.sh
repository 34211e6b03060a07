#!/bin/sh
# The base image of tests: `docker-base.sh SOCKET IMAGE` makes it of Debian's own packages (a shell, coreutils and what
# Node needs) and imports it into the engine at SOCKET, unless that has it. With Debian's mmdebstrap, curl and util-linux.
set -eu
SOCKET=$1
IMAGE=$2

engine() { curl --silent --show-error --fail --unix-socket "$SOCKET" "$@"; }
there() { engine --output /dev/null "http://docker/images/$IMAGE/json" 2>/dev/null; }

there && exit 0
# Several test files want it at once: one makes it.
exec 9>"${TMPDIR:-/tmp}/kiln-docker-base.$(id -u).lock"
flock 9
there && exit 0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf '%s\n' root:x:0:0:root:/:/bin/sh nobody:x:65534:65534::/:/bin/sh >"$folder/passwd"
mmdebstrap --quiet --variant=extract --include=base-files,dash,coreutils,libstdc++6 \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --customize-hook="upload $folder/passwd /etc/passwd" \
  --customize-hook='mkdir -p "$1/usr/local/bin"' \
  bookworm "$folder/base.tar"
engine --output /dev/null --header 'content-type: application/x-tar' --upload-file "$folder/base.tar" --request POST \
  "http://docker/images/create?fromSrc=-&repo=${IMAGE%:*}&tag=${IMAGE##*:}"
