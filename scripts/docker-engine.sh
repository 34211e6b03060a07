#!/bin/sh
# A Docker engine of its own for tests: `start DIR` brings it up with everything it keeps in DIR and its socket at
# DIR/docker.sock, `stop DIR` ends it and removes DIR. As root, with Debian's docker.io, containerd and iproute2.
set -eu
DIR=$2
# A bridge of its own: an engine that is started without one removes docker0 under everybody else.
BRIDGE=kilntest0

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

case $1 in
  start)
    mkdir -p "$DIR"
    ip link show "$BRIDGE" >/dev/null 2>&1 || ip link add "$BRIDGE" type bridge
    ip addr show "$BRIDGE" | grep -q 'inet ' || ip addr add 172.31.255.1/24 dev "$BRIDGE"
    ip link set "$BRIDGE" up
    setsid containerd --root "$DIR/containerd" --state "$DIR/containerd-state" --address "$DIR/containerd.sock" \
      >"$DIR/containerd.log" 2>&1 </dev/null &
    echo $! >"$DIR/containerd.pid"
    await test -S "$DIR/containerd.sock"
    setsid dockerd --containerd "$DIR/containerd.sock" --host "unix://$DIR/docker.sock" --pidfile "$DIR/docker.pid" \
      --data-root "$DIR/data" --exec-root "$DIR/exec" --bridge "$BRIDGE" --default-ulimit nofile=1024:4096 \
      >"$DIR/dockerd.log" 2>&1 </dev/null &
    await answers
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
    # What is still mounted there is no failure of the tests.
    rm -rf "$DIR" || echo "docker-engine: $DIR could not be removed" >&2
    ;;
  *)
    echo "usage: docker-engine.sh start|stop DIR" >&2
    exit 2
    ;;
esac
