from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    r"""The Prometheus metrics of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            'pyg_irllrec_requests',
            'Requests by path and status',
            ('path', 'status'),
            registry=self.registry,
        )
        self._seconds = Histogram(
            'pyg_irllrec_request_seconds',
            'Seconds from the start of a request to the end of its response',
            ('path',),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._bundle = Gauge(
            'pyg_irllrec_bundle',
            '1 for the version of the bundle that is served',
            ('version',),
            registry=self.registry,
        )
        self.pending = Gauge(
            'pyg_irllrec_pending',
            'Requests that are processed or wait',
            registry=self.registry,
        )
        self.reloads = Counter(
            'pyg_irllrec_reloads',
            'Attempts to load a new bundle, by result',
            ('result',),
            registry=self.registry,
        )

    def count(self, path: str, status: int, seconds: float) -> None:
        r"""Count a request."""
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def show_version(self, version: str) -> None:
        r"""Set the version of the bundle that is served."""
        self._bundle.clear()
        self._bundle.labels(version).set(1)

    def text(self) -> bytes:
        r"""All metrics in the Prometheus text format."""
        return generate_latest(self.registry)
