"""The server as a process with real connections: reload, slow clients, and an orderly end."""

import collections
import socket
import sys
import threading
import time
import urllib.parse

import httpx
import pytest

from official_nlp.cli import main
from official_nlp.errors import InputError
from official_nlp.serving.server import process
from tests.serving.server import saved_toy
from tests.serving.server.server_process import ServerProcess


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "toy"
    saved_toy.save(folder / "1")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    server = ServerProcess(folder, "--reload", "1", "--timeout", "60")
    yield server
    server.process.kill()
    server.process.wait()


def post(url, texts, signature="serving_default"):
    body = {"instances": texts, "signature_name": signature}
    return httpx.post(f"{url}v1/models/toy:predict", json=body, timeout=60)


def connected(url):
    parts = urllib.parse.urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port))


def test_a_request_is_answered_over_the_network(server):
    answer = post(server.url, ["two words"])
    assert answer.status_code == 200
    assert answer.json() == {"predictions": [{"num_words": 2, "size": 9, "word": ["two", "words"]}]}
    assert httpx.get(server.url).text.startswith("<!DOCTYPE html>")


def test_a_value_that_the_model_refuses_is_a_wrong_request(server):
    assert post(server.url, ["5"], "check").json() == {"predictions": [5]}
    answer = post(server.url, ["no number"], "check")
    assert answer.status_code == 400
    assert "the model refuses the input" in answer.json()["error"]


def test_a_signature_that_json_cannot_express_is_left_out(server):
    (model,) = httpx.get(f"{server.url}v1/models").json()["models"]
    assert set(model["signatures"]) == {"serving_default", "check", "slow"}


def test_what_is_no_http_is_answered_and_logged(server):
    with connected(server.url) as connection:
        connection.sendall(b"\x00nonsense\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    event = server.event("log")
    assert (event["logger"], event["level"]) == ("uvicorn.error", "WARNING")


def test_a_client_that_expects_a_refusal_need_not_send_the_body(server):
    with connected(server.url) as connection:
        connection.sendall(
            b"POST /v1/models/toy:predict HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Content-Length: 999999999\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_newer_version_replaces_the_old_one_without_a_failure(server, folder):
    statuses, sizes, done = collections.Counter(), [], threading.Event()

    def client():
        with httpx.Client(timeout=60) as own:
            while not done.is_set():
                answer = own.post(
                    f"{server.url}v1/models/toy:predict", json={"inputs": {"text": ["abc"]}}
                )
                statuses[answer.status_code] += 1
                sizes.extend(answer.json()["outputs"]["size"])

    clients = [threading.Thread(target=client) for _ in range(4)]
    for each in clients:
        each.start()
    (folder / "2").mkdir()
    (folder / "2" / "saved_model.pb").write_bytes(b"half")
    assert "cannot load" in server.event("broken_version")["reason"]
    saved_toy.save(folder / "3", offset=100)
    event = server.event("loaded")
    assert (event["version"], event["replaces"]) == ("3", 1)
    while 103 not in sizes[-4:]:
        time.sleep(0.01)
    done.set()
    for each in clients:
        each.join()
    assert set(statuses) == {200}
    assert set(sizes) == {3, 103}
    assert sizes[0] == 3
    metrics = httpx.get(f"{server.url}metrics").text
    assert 'electra_model_version{model="toy"} 3.0' in metrics
    assert 'electra_broken_versions_total{model="toy"} 1.0' in metrics


def test_sigterm_ends_the_server_after_it_answered_what_it_accepted(server):
    """Must be the last test of this server."""
    answers, refused, starts = {}, [], threading.Barrier(9)

    def client(number):
        # Half of the clients use a connection for one request only.
        headers = {"connection": "close"} if number % 2 else {}
        with httpx.Client(timeout=60, headers=headers) as own:
            send(own, number)

    def send(own, number):
        starts.wait()
        for request in range(1_000):
            identifier = f"drain-{number}-{request}"
            try:
                answer = own.post(
                    f"{server.url}v1/models/toy:predict",
                    json={"instances": [identifier]},
                    headers={"x-request-id": identifier},
                )
            except httpx.TransportError:
                refused.append(identifier)
                return
            answers[identifier] = answer.json()["predictions"][0]["word"]

    def slow_client():
        with httpx.Client(timeout=60) as own:
            # The connection is accepted before the signal, however busy the machine is.
            own.get(server.url)
            starts.wait()
            body = {"instances": ["abcd"], "signature_name": "slow"}
            answer = own.post(f"{server.url}v1/models/toy:predict", json=body)
            answers["slow"] = answer.json()["predictions"]

    clients = [threading.Thread(target=client, args=(number,)) for number in range(7)]
    clients.append(threading.Thread(target=slow_client))
    for each in clients:
        each.start()
    starts.wait()
    while len(answers) < 10:
        time.sleep(0.01)
    assert server.stop() == 0
    for each in clients:
        each.join()
    server.event("stopped")
    accepted = {each["id"] for each in server.requests if each["id"].startswith("drain-")}
    assert {each["status"] for each in server.requests if each["id"] in accepted} == {200}
    assert answers.pop("slow") == [4]
    assert accepted == answers.keys(), "every request that was accepted has its answer"
    assert not accepted & set(refused)
    assert all(words == [identifier] for identifier, words in answers.items())


# === Errors at the start ===


def test_a_port_in_use_is_reported(folder, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main.main(["serve", str(folder), "--port", str(port)]) == main.USAGE
    error = capsys.readouterr().err
    assert f"cannot listen at '127.0.0.1', port {port}: Address already in use" in error


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 70 + ".b", "203.0.113.1"])
def test_an_address_of_another_machine_is_refused(host):
    with pytest.raises(InputError, match="cannot listen at"):
        process.serve(["x"], host, 0)


def test_a_folder_without_a_model_is_refused(tmp_path, capsys):
    assert main.main(["serve", str(tmp_path), "--port", "0"]) == main.USAGE
    assert "has no version such as" in capsys.readouterr().err


def test_the_extra_is_named_when_it_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    for name in ("process", "connections"):
        monkeypatch.delitem(sys.modules, f"official_nlp.serving.server.{name}", raising=False)
    # The module is an attribute of its package, too.
    monkeypatch.delattr("official_nlp.serving.server.process", raising=False)
    monkeypatch.delattr("official_nlp.serving.server.connections", raising=False)
    assert main.main(["serve", "x"]) == main.USAGE
    assert "serve needs the package uvicorn: pip install 'official_nlp[serve]'" in (
        capsys.readouterr().err
    )
