"""Bodies of requests as inputs: files, texts, records and tables, and tensors of the Open Inference Protocol."""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Mapping, Sequence
from email import message_from_bytes
from email.policy import HTTP
from typing import Any

import numpy as np
import pandas as pd

from headstart.kernel.errors import DataError, first_line

TYPES = {"FP64": "<f8", "FP32": "<f4", "FP16": "<f2", "INT64": "<i8", "INT32": "<i4", "INT16": "<i2", "INT8": "i1"}
TYPES |= {"UINT64": "<u8", "UINT32": "<u4", "UINT16": "<u2", "UINT8": "u1", "BOOL": "?"}


def inputs_of(body: bytes, kind: str, takes: str) -> list[Any]:
    """The inputs of a request to /predict.

    Args:
        body: {"inputs": [...]} or one input as JSON; a file; a text; a CSV table; or a form with files.
        kind: the content type.
        takes: as of `Service`.

    Raises:
        DataError: it is none of these.
    """
    kind, _, _ = kind.partition(";") if not kind.startswith("multipart/") else (kind, "", "")
    if kind.startswith("multipart/"):
        parts = _parts(body, kind)
        return [one for content, of in parts for one in inputs_of(content, of, takes)]
    if kind == "application/json":
        given = _json(body)
        given = given["inputs"] if isinstance(given, Mapping) and isinstance(given.get("inputs"), list) else [given]
        return [_decoded(one) for one in given] if takes == "file" else list(given)
    if takes == "file":
        return [body]
    text = _text(body)
    if takes == "record" or kind == "text/csv":
        try:
            return [*pd.read_csv(io.StringIO(text)).to_dict("records")]
        except ValueError as error:
            raise DataError(f"the body is no table: {first_line(error)}") from error
    return [text]


def oip_inputs(body: bytes, header: str | None, takes: str, columns: Sequence[str]) -> tuple[list[Any], str]:
    """The inputs of a request to /v2/models/NAME/infer, and its id. Raises DataError."""
    length = int(header) if header and header.isdigit() else len(body)
    request, rest = _json(body[:length]), body[length:]
    tensors = request.get("inputs") if isinstance(request, Mapping) else None
    if not isinstance(tensors, list) or not tensors:
        raise DataError('the request has no "inputs": a list of {"name", "shape", "datatype", "data"}')
    named = {}
    for tensor in tensors:
        try:
            values, rest = _tensor(tensor, rest)
            named[str(tensor["name"])] = values
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"the tensor {str(tensor)[:80]} cannot be read: {first_line(error)}") from error
    first = next(iter(named.values()))
    if takes == "file":
        return [one if isinstance(one, bytes) else _decoded(one) for one in first.ravel()], str(request.get("id", ""))
    if takes == "record":
        return _records(named, columns), str(request.get("id", ""))
    texts = [one.decode(errors="replace") if isinstance(one, bytes) else one for one in first.ravel()]
    paired = takes == "texts" and first.ndim == 2
    return [list(pair) for pair in np.reshape(texts, first.shape)] if paired else texts, str(request.get("id", ""))


def oip_outputs(documents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The answers as tensors: numbers as FP64 or BOOL, all else as BYTES, a list as JSON."""
    names = dict.fromkeys(name for document in documents for name in document)
    return [_output(name, [document.get(name) for document in documents]) for name in names]


def _output(name: str, values: list[Any]) -> dict[str, Any]:
    if all(isinstance(value, bool) for value in values):
        kind = "BOOL"
    elif all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        kind = "FP64"
    else:
        kind = "BYTES"
        values = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in values]
    return {"name": name, "shape": [len(values)], "datatype": kind, "data": values}


def _tensor(tensor: Mapping[str, Any], rest: bytes) -> tuple[np.ndarray, bytes]:
    """The values of a tensor, and the binary data behind it."""
    shape, kind = [int(size) for size in tensor["shape"]], str(tensor["datatype"])
    size = tensor.get("parameters", {}).get("binary_data_size")
    if size is None:
        values = np.array(tensor["data"], dtype=object if kind == "BYTES" else TYPES[kind])
        return values.reshape(shape), rest
    content, rest = rest[: int(size)], rest[int(size) :]
    if kind != "BYTES":
        return np.frombuffer(content, TYPES[kind]).reshape(shape), rest
    found, at = [], 0
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "little")
        found.append(content[at + 4 : at + 4 + length])
        at += 4 + length
    values = np.empty(len(found), object)
    values[:] = found
    return values.reshape(shape), rest


def _records(named: Mapping[str, np.ndarray], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of a table: a tensor for each column, or one with all columns in their order."""
    if len(named) == 1 and len(columns) != 1:
        values = next(iter(named.values()))
        if values.ndim != 2 or values.shape[1] != len(columns):
            raise DataError(f"a tensor of shape {values.shape} has not the {len(columns)} columns {', '.join(columns)}")
        return [dict(zip(columns, row)) for row in values.tolist()]
    lists = {name: [_as_text(one) for one in values.ravel().tolist()] for name, values in named.items()}
    return [dict(zip(lists, row)) for row in zip(*lists.values(), strict=True)]


def _as_text(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise DataError(f"the body is not JSON: {error}") from error


def _decoded(value: Any) -> bytes:
    """A file as base64, also as a data URL."""
    try:
        return base64.b64decode(str(value).rpartition(",")[2], validate=True)
    except binascii.Error as error:
        raise DataError("the model reads files: send one as the body, or as base64 in JSON") from error


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise DataError("the body is no text in UTF-8") from error


def _parts(body: bytes, kind: str) -> list[tuple[bytes, str]]:
    """The files of a form, each with its content type."""
    message = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body, policy=HTTP)
    if not message.is_multipart():
        raise DataError("the form is damaged: it has no parts")
    return [(bytes(part.get_payload(decode=True) or b""), part.get_content_type()) for part in message.iter_parts()]
