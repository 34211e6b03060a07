"""Counts visits in a file on a volume, and answers the standard endpoints (docs/service-standard.md)."""

import json
import os
import platform
import re
import signal
import socket
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
FILE = os.path.join(DATA, "count")
STARTED = time.time()
SECRET_KEY = re.compile(r"passw(or)?d|passphrase|secret|token|credential|private_?key|api_?key", re.IGNORECASE)
CONFIG = {key: os.environ[key.upper()] for key in ("step", "api_token") if key.upper() in os.environ}
STEP = int(CONFIG.get("step", "1"))
IDENTITY = {
    "component": os.environ.get("KILN_COMPONENT", "counter"),
    "version": os.environ.get("KILN_VERSION", "0.0.0"),
    "environment": os.environ.get("KILN_ENVIRONMENT", "none"),
    "release": os.environ.get("KILN_RELEASE", "0"),
    "instance": os.environ.get("KILN_INSTANCE", f"{socket.gethostname()}-{os.getpid()}"),
    "process": os.environ.get("KILN_PROCESS", "web"),
}
lock = threading.Lock()


def read_count():
    try:
        with open(FILE, encoding="ascii") as file:
            return int(file.read())
    except FileNotFoundError:
        return 0


def count_visit():
    """The new count is on the disk under its name, whole, before anybody is told of it."""
    with lock:
        count = read_count() + STEP
        with open(FILE + ".new", "w", encoding="ascii") as file:
            file.write(str(count))
            file.flush()
            os.fsync(file.fileno())
        os.replace(FILE + ".new", FILE)
        return count


def moment(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def run_tests():
    began = time.perf_counter()
    test = {"test_name": "the volume can be written to", "tested_at": moment(time.time())}
    test["test_result"] = "passed" if os.access(DATA, os.W_OK) else "failed"
    millis = (time.perf_counter() - began) * 1000
    test["duration_millis"] = millis
    return {"report_as_of": test["tested_at"], "report_duration_millis": millis, "tests": [test]}


report = {}


def keep_testing():
    """Asking for the health shows the last results; the tests run by themselves."""
    global report
    while True:
        report = run_tests()
        time.sleep(5)


def status():
    return IDENTITY | {
        "machine_name": socket.gethostname(),
        "runtime": f"python {platform.python_version()}",
        "up_since": moment(STARTED),
        "up_duration_millis": round((time.time() - STARTED) * 1000),
        "current_time": moment(time.time()),
    }


def shown_config():
    hidden = [key for key in CONFIG if SECRET_KEY.search(key)]
    return {"values": {key: value for key, value in CONFIG.items() if key not in hidden}, "hidden": hidden}


def good_to_go():
    fit = all(test["test_result"] == "passed" for test in report["tests"])
    return (200, "OK") if fit else (503, "NOT OK")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body leave in one packet

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/":
            self.answer(200, f"{count_visit()} visits\n")
        elif path == "/service/status":
            self.answer_json(status())
        elif path == "/service/healthcheck":
            self.answer_json(report)
        elif path == "/service/healthcheck/gtg":
            self.answer(*good_to_go())
        elif path == "/service/config":
            self.answer_json(shown_config())
        else:
            self.answer(404, "Not here\n")

    def answer_json(self, value):
        self.answer(200, json.dumps(value), "application/json; charset=utf-8")

    def answer(self, code, body, kind="text/plain; charset=utf-8"):
        data = body.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Requests are the router's to log."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128


def main():
    global report
    os.makedirs(DATA, exist_ok=True)
    report = run_tests()
    server = Server((os.environ.get("HOST", "0.0.0.0"), int(os.environ.get("PORT", "8080"))), Handler)
    for number in (signal.SIGTERM, signal.SIGINT):
        # shutdown() waits for the loop that this very thread is in, so another one calls it.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    threading.Thread(target=keep_testing, daemon=True).start()
    print(f"listening on {server.server_port}, counting on from {read_count()}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    print("stopped", flush=True)


if __name__ == "__main__":
    main()
