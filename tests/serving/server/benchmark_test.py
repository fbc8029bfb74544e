"""The tool that measures exported models and the server."""

import importlib.util
import json
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler

import pytest


@pytest.fixture
def benchmark(repository, monkeypatch):
    """The module `tools/benchmark.py`."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    spec = importlib.util.spec_from_file_location("benchmark", repository / "tools/benchmark.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Answers(BaseHTTPRequestHandler):
    """Answers every request with a prediction, and one text with an error."""

    protocol_version = "HTTP/1.1"
    received = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.received.append((self.path, *body["instances"]))
        answer = b'{"predictions": [1]}'
        self.send_response(400 if body["instances"] == ["bad"] else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def url():
    Answers.received.clear()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answers) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield "http://{}:{}/".format(*server.server_address)
        server.shutdown()


def test_clients_send_so_many_requests_and_measure_them(benchmark, url):
    load = benchmark.serving.http_load
    found = load.measure(url, "m", ["a", "b"], clients=3, requests=10)
    assert sorted(Answers.received) == [("/v1/models/m:predict", text) for text in "aaaaabbbbb"]
    assert 0 < found["p50"] <= found["p99"]
    assert found["requests_a_second"] > 0


def test_an_error_of_the_server_ends_the_measurement(benchmark, url):
    with pytest.raises(SystemExit, match=r"the server answered HTTP/1\.1 400"):
        benchmark.serving.http_load.measure(url, "m", ["bad"], clients=1, requests=1)


def test_tables_have_medians_and_quartiles(benchmark, capsys):
    serving = benchmark.serving
    clocks = {"cpu": serving.quartiles([2.0]), "wall": serving.quartiles([3.0, 1.0, 2.0, 5.0, 200])}
    shapes = [f"{batch} x {length}" for batch, length in serving.SHAPES]
    calls = {"ours": dict.fromkeys(shapes, clocks)}
    serving.print_calls(calls, {"ours": 54.2})
    served = {"on, length 16": {"requests_a_second": 250.0, "cpu": 3.5, "p50": 4.0, "p99": 8.0}}
    serving.print_server(served, calls["ours"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("| ours | 2.0 / 3.0 (2.0 to 5.0) |")
    assert lines[2].endswith("| 54 |")
    assert "| on, length 16 | 250 | 3.5 | 4.0 | 8.0 |" in lines
    assert "| none: in process, 32 x 128 | 10667 | 0.1 | 3.0 | |" in lines


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_variant_is_measured(benchmark, tmp_path, capsys):
    file = tmp_path / "numbers.json"
    words = [
        "--rounds",
        "1",
        "--requests",
        "4",
        "--formats",
        "litert",
        "no_such",
        "--to",
        str(file),
    ]
    benchmark.main(["serve", *words])
    numbers = json.loads(file.read_text())
    printed = capsys.readouterr().out
    assert "no_such is left out: " in printed
    assert "tfnlp BertClassifier" in numbers["calls"]
    assert numbers["calls"].keys() == numbers["megabytes"].keys()
    assert len(numbers["server"]) == 8
    assert 40 < numbers["megabytes"]["saved_model"] < 70
