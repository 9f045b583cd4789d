"""What a scrape says."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families


def samples(text, name):
    """The labels and the value of each sample of this name."""
    return [(sample.labels, sample.value) for family in text_string_to_metric_families(text) for sample in family.samples if sample.name == name]
