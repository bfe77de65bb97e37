"""The web application of a run: a page, /predict, the Open Inference Protocol v2 and /metrics."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.requests import ClientDisconnect

from headstart.engine.device import versions
from headstart.kernel import registry
from headstart.kernel.errors import HeadstartError
from headstart.serving.batching import Batcher
from headstart.serving.limits import Limits, TooMuch
from headstart.serving.metrics import Metrics
from headstart.serving.service import Service
from headstart.serving.wire import inputs_of, oip_inputs, oip_outputs

PAGE = Path(__file__).with_name("page.html")
POLICY = "default-src 'self' 'unsafe-inline' data: blob:; form-action 'none'; frame-ancestors 'none'"
CLOSE = {"Connection": "close"}

Handler = Callable[[Request], Awaitable[Response]]


def app_of(service: Service, limits: Limits) -> FastAPI:
    """Return the application; its thread that predicts ends with it."""
    batcher, metrics = Batcher(service.answers, limits.waiting), Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001
        yield
        await asyncio.to_thread(batcher.close)

    app = FastAPI(title=service.name, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    model = f"/v2/models/{service.name}"
    routes: list[tuple[str, str, Handler]] = [
        ("/", "GET", _page(service)),
        ("/predict", "POST", _predict(service, batcher, limits)),
        ("/metrics", "GET", _metrics(batcher, metrics)),
        ("/v2", "GET", _always({"name": "headstart", "version": versions().get("headstart", ""), "extensions": []})),
        ("/v2/health/live", "GET", _always({"live": True})),
        ("/v2/health/ready", "GET", _always({"ready": True})),
        (model, "GET", _always(_metadata(service))),
        (f"{model}/ready", "GET", _always({"name": service.name, "ready": True})),
        (f"{model}/infer", "POST", _infer(service, batcher, limits)),
    ]
    for path, method, handler in routes:
        app.add_route(path, _told(path, handler, metrics), methods=[method])
    return app


def _told(path: str, handler: Handler, metrics: Metrics) -> Handler:
    """The handler with its faults made answers, and counted."""

    async def handled(request: Request) -> Response:
        begun = time.perf_counter()
        try:
            answer = await handler(request)
        except HeadstartError as error:
            answer = _fault(str(error), getattr(error, "status", 400))
        except TimeoutError:
            answer = _fault("the service took too long", 504)
        except ClientDisconnect:
            answer = _fault("the client closed the connection", 400)
        seconds = time.perf_counter() - begun if request.method == "POST" and answer.status_code == 200 else None
        metrics.note(path, answer.status_code, seconds)
        return answer

    return handled


def _fault(text: str, status: int) -> Response:
    return JSONResponse({"error": text}, status, CLOSE if status in (408, 413) else {})


def _always(content: dict[str, Any]) -> Handler:
    async def handler(request: Request) -> Response:  # noqa: ARG001
        return JSONResponse(content)

    return handler


def _page(service: Service) -> Handler:
    about = {"name": service.name, "takes": service.takes, "kind": service.model.backbone.modality}
    about |= {"task": registry.name_of(service.model.task), "backbone": service.model.backbone.name}
    text = PAGE.read_text(encoding="utf-8").replace("/*ABOUT*/{}", json.dumps(about).replace("<", "\\u003c"))

    async def handler(request: Request) -> Response:  # noqa: ARG001
        return HTMLResponse(text, headers={"Content-Security-Policy": POLICY})

    return handler


def _metrics(batcher: Batcher, metrics: Metrics) -> Handler:
    async def handler(request: Request) -> Response:  # noqa: ARG001
        now = {"waiting": batcher.waiting, "batches_total": batcher.batches, "inputs_total": batcher.inputs}
        return PlainTextResponse(metrics.text(now))

    return handler


def _predict(service: Service, batcher: Batcher, limits: Limits) -> Handler:
    async def handler(request: Request) -> Response:
        body = await _body(request, limits)
        inputs = inputs_of(body, request.headers.get("content-type", ""), service.takes)
        documents = await _answers(service, batcher, limits, inputs)
        if all("error" in document for document in documents):
            return _fault(str(documents[0]["error"]), 400)
        return JSONResponse({"predictions": documents})

    return handler


def _infer(service: Service, batcher: Batcher, limits: Limits) -> Handler:
    columns = [*service.model.columns.numeric, *service.model.columns.categorical, *service.model.columns.date]

    async def handler(request: Request) -> Response:
        body = await _body(request, limits)
        inputs, number = oip_inputs(
            body, request.headers.get("inference-header-content-length"), service.takes, columns
        )
        documents = await _answers(service, batcher, limits, inputs)
        faults = [document["error"] for document in documents if "error" in document]
        if faults:
            return _fault(str(faults[0]), 400)
        return JSONResponse(
            {"model_name": service.name, "model_version": "1", "id": number, "outputs": oip_outputs(documents)}
        )

    return handler


async def _answers(service: Service, batcher: Batcher, limits: Limits, inputs: list[Any]) -> list[dict[str, Any]]:
    if not inputs:
        raise TooMuch("the request has no inputs")
    if len(inputs) > limits.inputs:
        raise TooMuch(f"the request has {len(inputs):,} inputs, at most {limits.inputs:,} are allowed")
    for one in inputs:
        service.check(one)
    async with asyncio.timeout(limits.seconds):
        return await batcher.answers(inputs)


async def _body(request: Request, limits: Limits) -> bytes:
    """The body, which must be small enough and come in time. Raises TooMuch."""
    most = int(limits.megabytes * 1e6)
    told = request.headers.get("content-length", "0")
    if told.isdigit() and int(told) > most:
        raise TooMuch(f"the body has {int(told):,} bytes, at most {most:,} are allowed")
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.seconds):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise TooMuch(f"the body has more than the {most:,} bytes that are allowed")
                parts.append(part)
    except TimeoutError as error:
        raise _Slow(f"the body did not come within {limits.seconds:g} s") from error
    return b"".join(parts)


class _Slow(TooMuch):
    status = 408


def _metadata(service: Service) -> dict[str, Any]:
    named = {"file": ("content", "BYTES"), "text": ("text", "BYTES"), "texts": ("texts", "BYTES")}
    columns = service.model.columns
    rows = [{"name": name, "datatype": "FP64", "shape": [-1]} for name in columns.numeric]
    rows += [{"name": name, "datatype": "BYTES", "shape": [-1]} for name in (*columns.categorical, *columns.date)]
    if service.takes in named:
        name, kind = named[service.takes]
        rows = [{"name": name, "datatype": kind, "shape": [-1, 2] if service.takes == "texts" else [-1]}]
    outputs = [{"name": "prediction", "datatype": "BYTES", "shape": [-1]}]
    return {"name": service.name, "versions": ["1"], "platform": "headstart", "inputs": rows, "outputs": outputs}


def limits_of(megabytes: float | None, seconds: float | None) -> Limits:
    """The usual limits, but for those given."""
    given = {"megabytes": megabytes, "seconds": seconds}
    return Limits.model_validate({name: value for name, value in given.items() if value is not None})
