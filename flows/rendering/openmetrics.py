"""Metrics as OpenMetrics text: https://prometheus.io/docs/specs/om/open_metrics_spec/."""

from collections.abc import Iterable, Iterator

from tasks.diagnostics.metrics import Metric, Sample

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def exposition(metrics: Iterable[Metric]) -> str:
    return "\n".join([line for metric in metrics for line in _family(metric)] + ["# EOF", ""])


def _family(metric: Metric) -> Iterator[str]:
    yield f"# TYPE {metric.name} {metric.kind}"
    if metric.name.endswith("_seconds"):
        yield f"# UNIT {metric.name} seconds"
    yield f"# HELP {metric.name} {metric.meaning.translate(ESCAPES)}"
    name = f"{metric.name}_total" if metric.kind == "counter" else metric.name
    for sample in metric.samples:
        yield _line(name, sample)


def _line(name: str, sample: Sample) -> str:
    labels = ",".join(f'{label}="{text.translate(ESCAPES)}"' for label, text in sample.labels.items())
    return f"{name}{{{labels}}} {float(sample.value)!r}" if labels else f"{name} {float(sample.value)!r}"
