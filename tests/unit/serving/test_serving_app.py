"""A service takes what it can read, refuses what is too much in time, and stays alive."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from headstart.contracts.format import Columns
from headstart.kernel.errors import DataError
from headstart.serving.app import app_of
from headstart.serving.batching import Batcher
from headstart.serving.limits import Busy, Limits
from headstart.tasks.classification.task import BoundClassification, Classification

LIMITS = Limits(megabytes=0.001, seconds=0.2, inputs=3, waiting=4)
TASK = BoundClassification(settings=Classification(), classes=("a", "b"), counts=(1, 1))


class Answered(NamedTuple):
    status: int
    body: Any


def service(takes: str = "text", columns: Sequence[str] = ()) -> Any:
    """What a run would answer: each input back, a class, and one that is no picture refused."""

    def answers(inputs: Sequence[Any]) -> list[dict[str, Any]]:
        if "poison" in inputs:
            raise DataError("an input is of another kind")
        return [
            {"error": "is no image"}
            if one in (b"no picture", "bad")
            else {"prediction": str(one), "p_a": 0.25, "unlike": False}
            for one in inputs
        ]

    backbone = SimpleNamespace(modality="text", name="tiny")
    model = SimpleNamespace(columns=Columns(numeric=tuple(columns)), backbone=backbone, task=TASK)
    return SimpleNamespace(name="run", takes=takes, model=model, answers=answers, check=lambda one: None)


def ask(
    app: Any, path: str, body: bytes | Iterable[dict[str, Any]] | None = None, headers: dict[str, str] | None = None
) -> Answered:
    """One request over ASGI; `body` may be the events of a client, after which it says nothing more."""
    method = "GET" if body is None else "POST"
    events = [{"type": "http.request", "body": body or b""}] if isinstance(body, bytes | None) else [*body]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if events:
            return events.pop(0)
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    given = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": given,
        "query_string": b"",
        "http_version": "1.1",
    }
    asyncio.run(app({**scope, "raw_path": path.encode(), "root_path": "", "scheme": "http"}, receive, send))
    content = b"".join(message.get("body", b"") for message in sent)
    return Answered(sent[0]["status"], json.loads(content) if content[:1] in (b"{", b"[") else content.decode())


def predict(body: Any, kind: str = "text/plain", takes: str = "text", **headers: str) -> Answered:
    return ask(app_of(service(takes), LIMITS), "/predict", body, {"Content-Type": kind, **headers})


FORM = (
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    b"PNG\r\n--x--\r\n"
)


@pytest.mark.parametrize(
    ("body", "kind", "takes", "expected"),
    [
        (b"a film", "text/plain; charset=utf-8", "text", ["a film"]),
        (b'{"inputs": ["one", "two"]}', "application/json", "text", ["one", "two"]),
        (b'"one"', "application/json", "text", ["one"]),
        (b"\x89PNG", "image/png", "file", [str(b"\x89PNG")]),
        (b'{"inputs": ["UE5H", "data:image/png;base64,UE5H"]}', "application/json", "file", [str(b"PNG")] * 2),
        (FORM, "multipart/form-data; boundary=x", "file", [str(b"PNG")]),
        (b"age,kind\n31,x\n", "text/csv", "record", [str({"age": 31, "kind": "x"})]),
        (b'{"age": 31}', "application/json", "record", [str({"age": 31})]),
    ],
)
def test_inputs_come_in_many_ways(body: bytes, kind: str, takes: str, expected: list[str]) -> None:
    found = predict(body, kind, takes)
    assert found.status == 200, found.body
    assert [document["prediction"] for document in found.body["predictions"]] == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "kind", "takes", "status", "words"),
    [
        (b"{", "application/json", "text", 400, "not JSON"),
        (b"\xff\xfe", "text/plain", "text", 400, "no text in UTF-8"),
        (b'"?"', "application/json", "file", 400, "as base64"),
        (b"no picture", "image/png", "file", 400, "is no image"),
        (b"", "text/csv", "record", 400, "no table"),
        (b"poison", "text/plain", "text", 400, "another kind"),
        (b'{"inputs": []}', "application/json", "text", 413, "no inputs"),
        (b'{"inputs": ["a", "b", "c", "d"]}', "application/json", "text", 413, "at most 3"),
        (b"x" * 1001, "text/plain", "text", 413, "more than the 1,000 bytes"),
        ([{"type": "http.request", "body": b"a", "more_body": True}], "text/plain", "text", 408, "within 0.2 s"),
        (
            [{"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"}],
            "x",
            "text",
            400,
            "closed",
        ),
    ],
)
def test_what_cannot_be_taken_is_refused_in_words(body: Any, kind: str, takes: str, status: int, words: str) -> None:
    found = predict(body, kind, takes)
    assert found.status == status and words in found.body["error"]


def test_a_body_that_says_its_size_is_refused_unread() -> None:
    found = predict([], **{"Content-Length": "200000000"})
    assert found.status == 413 and "200,000,000 bytes" in found.body["error"]


def infer(request: Any, takes: str = "text", binary: bytes = b"", columns: Sequence[str] = ()) -> Answered:
    head = json.dumps(request).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))} if binary else {}
    return ask(app_of(service(takes, columns), LIMITS), "/v2/models/run/infer", head + binary, headers)


def tensor(name: str, kind: str, shape: list[int], **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": kind, "shape": shape, **more}


def test_the_open_inference_protocol_takes_json_and_binary_tensors() -> None:
    found = infer({"id": "7", "inputs": [tensor("text", "BYTES", [2], data=["one", "two"])]}).body
    assert (found["model_name"], found["id"]) == ("run", "7")
    outputs = {output["name"]: output for output in found["outputs"]}
    assert outputs["prediction"] == tensor("prediction", "BYTES", [2], data=["one", "two"])
    assert outputs["p_a"] == tensor("p_a", "FP64", [2], data=[0.25, 0.25])
    assert outputs["unlike"]["datatype"] == "BOOL"
    binary = b"\x03\0\0\0PNG\x01\0\0\0!"
    asked = tensor("content", "BYTES", [2], parameters={"binary_data_size": len(binary)})
    found = infer({"inputs": [asked]}, "file", binary).body
    assert found["outputs"][0]["data"] == [str(b"PNG"), str(b"!")]
    numbers = {"inputs": [tensor("x", "FP64", [2, 2], data=[1.5, 2, 3, 4])]}
    assert infer(numbers, "record", columns=["a", "b"]).body["outputs"][0]["data"] == [
        str({"a": 1.5, "b": 2.0}),
        str({"a": 3.0, "b": 4.0}),
    ]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({}, 'no "inputs"'),
        ({"inputs": [{"name": "x"}]}, "cannot be read"),
        ({"inputs": [tensor("x", "FP64", [3], data=[1])]}, "cannot"),
    ],
)
def test_a_bad_tensor_is_refused(request_: Any, words: str) -> None:
    found = infer(request_)
    assert found.status == 400 and words in found.body["error"]


def test_health_metadata_metrics_and_page() -> None:
    app = app_of(service(), LIMITS)
    assert ask(app, "/v2/health/live").body == {"live": True} and ask(app, "/v2/models/run/ready").body["ready"]
    assert ask(app, "/v2/models/run").body["inputs"] == [tensor("text", "BYTES", [-1])]
    assert ask(app, "/v2/models/other").status == 404
    ask(app, "/predict", b"hello", {"Content-Type": "text/plain"})
    ask(app, "/predict", b"bad", {"Content-Type": "text/plain"})
    counts = ask(app, "/metrics").body
    assert 'headstart_requests_total{path="/predict",status="200"} 1' in counts
    assert 'headstart_requests_total{path="/predict",status="400"} 1' in counts
    assert "headstart_predict_seconds_count 1" in counts and "headstart_inputs_total 2" in counts
    page = ask(app, "/").body
    assert '"takes": "text"' in page and "http" not in page.replace("http-equiv", "")


def test_inputs_that_wait_go_together_and_too_many_are_refused() -> None:
    seen: list[int] = []

    async def scenario() -> list[Any]:
        gate = asyncio.Event()
        loop = asyncio.get_running_loop()

        def answer(inputs: Sequence[Any]) -> list[dict[str, Any]]:
            seen.append(len(inputs))
            if inputs[0] == "first":
                asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()
            if "poison" in inputs:
                raise DataError("no")
            return [{"prediction": one} for one in inputs]

        batcher = Batcher(answer, 3)
        first = asyncio.create_task(batcher.answers(["first"]))
        while not seen:
            await asyncio.sleep(0.001)
        others = [asyncio.create_task(batcher.answers([name])) for name in ("a", "poison", "b")]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await batcher.answers(["d"])
        gate.set()
        found = await asyncio.gather(first, *others, return_exceptions=True)
        await asyncio.to_thread(batcher.close)
        with pytest.raises(Busy):
            await batcher.answers(["late"])
        return found

    found = asyncio.run(scenario())
    assert [one if isinstance(one, Exception) else one[0]["prediction"] for one in found][::2] == ["first", found[2]]
    assert isinstance(found[2], DataError) and found[3] == [{"prediction": "b"}]
    assert seen == [1, 3, 1, 1, 1]  # alone, the three that waited together, and each by itself as one of them failed
