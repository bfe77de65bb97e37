"""Counts of a service, as Prometheus reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds."""


class Metrics:
    """Requests by path and status, and how long predictions took."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets = [0] * len(BUCKETS)
        self._sum, self._count = 0.0, 0

    def note(self, path: str, status: int, seconds: float | None) -> None:
        """Count a request; `seconds` of a prediction."""
        self._requests[path, status] += 1
        if seconds is not None:
            self._count, self._sum = self._count + 1, self._sum + seconds
            for place, most in enumerate(BUCKETS):
                self._buckets[place] += seconds <= most

    def text(self, gauges: Mapping[str, float]) -> str:
        """Everything in Prometheus' text format; `gauges` by name are told as they are."""
        lines = ["# TYPE headstart_requests_total counter"]
        lines += [
            f'headstart_requests_total{{path="{path}",status="{status}"}} {count}'
            for (path, status), count in sorted(self._requests.items())
        ]
        lines += ["# TYPE headstart_predict_seconds histogram"]
        lines += [f'headstart_predict_seconds_bucket{{le="{le}"}} {n}' for le, n in zip(BUCKETS, self._buckets)]
        lines += [f'headstart_predict_seconds_bucket{{le="+Inf"}} {self._count}']
        lines += [f"headstart_predict_seconds_sum {self._sum:.6f}", f"headstart_predict_seconds_count {self._count}"]
        for name, value in gauges.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# TYPE headstart_{name} {kind}", f"headstart_{name} {value:g}"]
        return "\n".join(lines) + "\n"
