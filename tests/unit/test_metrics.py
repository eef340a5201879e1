"""The catalogue of counted metrics: names, units, bounded labels."""

import re

from prometheus_client import CollectorRegistry

from tracker.metrics import Metrics

BOUNDED = {"route", "status", "store", "reason", "outcome", "ground", "sink", "table", "version", "python"}


def made() -> Metrics:
    return Metrics(CollectorRegistry(), "1.2.3")


def test_every_name_carries_the_projects_prefix_and_only_known_letters() -> None:
    names = [family.name for family in made().registry.collect()]
    assert len(names) >= 20
    assert [name for name in names if not re.fullmatch(r"tracker_[a-z_]+", name)] == []


def test_labels_are_few_and_bounded() -> None:
    metrics = made()
    for metric in vars(metrics).values():
        assert set(getattr(metric, "_labelnames", ())) <= BOUNDED


def test_two_sets_of_metrics_do_not_share_anything() -> None:
    one, other = made(), made()
    one.commits.inc()
    assert one.registry.get_sample_value("tracker_spool_commits_total") == 1.0
    assert other.registry.get_sample_value("tracker_spool_commits_total") == 0.0


def test_the_build_says_its_version() -> None:
    registry = made().registry
    (family,) = [family for family in registry.collect() if family.name == "tracker_build_info"]
    (sample,) = family.samples
    assert (sample.labels["version"], sample.value) == ("1.2.3", 1.0)
