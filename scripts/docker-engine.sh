#!/bin/sh
# A Docker engine of its own for tests: `start DIR` brings it up with everything it keeps in DIR and its socket at
# DIR/docker.sock, `kill DIR` ends its dockerd as a crash does and `again DIR` starts it anew on what it has, `stop DIR`
# ends it and removes DIR. As root, with Debian's docker.io, containerd and iproute2.
set -eu
DIR=$2
# A bridge and addresses of its own: an engine that is started without one removes docker0 under everybody else.
NUMBER=$(($(printf %s "$DIR" | cksum | cut -d' ' -f1) % 2500))
BRIDGE=kilntest$NUMBER
ADDRESS=172.$((20 + NUMBER / 250)).$((NUMBER % 250)).1/24

answers() { [ "$(curl --silent --max-time 5 --unix-socket "$DIR/docker.sock" http://docker/_ping || true)" = OK ]; }

await() { # what, at most 60 s
  for _ in $(seq 1 300); do
    if "$@"; then return 0; fi
    sleep 0.2
  done
  echo "docker-engine: $* did not come about; see $DIR/*.log" >&2
  tail -n 20 "$DIR"/*.log >&2
  return 1
}

start_dockerd() {
  setsid dockerd --containerd "$DIR/containerd.sock" --host "unix://$DIR/docker.sock" --pidfile "$DIR/docker.pid" \
    --data-root "$DIR/data" --exec-root "$DIR/exec" --bridge "$BRIDGE" --default-ulimit nofile=1024:4096 \
    >>"$DIR/dockerd.log" 2>&1 </dev/null &
  await answers
}

case $1 in
  start)
    mkdir -p "$DIR"
    ip link show "$BRIDGE" >/dev/null 2>&1 || ip link add "$BRIDGE" type bridge
    ip addr show "$BRIDGE" | grep -q 'inet ' || ip addr add "$ADDRESS" dev "$BRIDGE"
    ip link set "$BRIDGE" up
    setsid containerd --root "$DIR/containerd" --state "$DIR/containerd-state" --address "$DIR/containerd.sock" \
      >"$DIR/containerd.log" 2>&1 </dev/null &
    echo $! >"$DIR/containerd.pid"
    await test -S "$DIR/containerd.sock"
    start_dockerd
    ;;
  kill)
    kill -KILL "$(cat "$DIR/docker.pid")"
    # It does not clean up after itself.
    rm -f "$DIR/docker.sock" "$DIR/docker.pid"
    ;;
  again)
    start_dockerd
    ;;
  stop)
    for name in docker containerd; do
      [ -f "$DIR/$name.pid" ] || continue
      pid=$(cat "$DIR/$name.pid")
      kill "$pid" 2>/dev/null || continue
      for _ in $(seq 1 150); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.2
      done
    done
    ip link del "$BRIDGE" 2>/dev/null || true
    # An engine that was killed leaves its mounts.
    awk -v dir="$DIR/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount --lazy
    # What is still mounted there is no failure of the tests.
    rm -rf "$DIR" || echo "docker-engine: $DIR could not be removed" >&2
    ;;
  *)
    echo "usage: docker-engine.sh start|kill|again|stop DIR" >&2
    exit 2
    ;;
esac
