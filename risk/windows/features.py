"""The features of a flow row: one table of what each is called, what it measures and what raises it.

`FEATURES[i]` describes column i of the matrix that the windows give. A counter "over 60 s" is an exponentially decayed
count with that time constant, read after the row itself was counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the feature matrix."""

    name: str
    unit: str
    top: float
    """The end of its working range; models clip there. The range starts at 0."""
    meaning: str
    raised_by: str


def _three(name: str, unit: str, tops: tuple[float, float, float], meaning: str, raised_by: str) -> list[Feature]:
    horizons = zip((10, 60, 600), tops, strict=True)
    return [Feature(f"{name}_{s}", unit, top, f"{meaning}, over {s} s", raised_by) for s, top in horizons]


FEATURES: tuple[Feature, ...] = (
    *_three("src_starts", "flows", (1e4, 3e4, 1e5), "flows that the source began", "scans, floods, crawlers"),
    *_three("src_failed", "share", (1, 1, 1), "of the source's ended flows: nobody answered", "scans, dead peers"),
    *_three("src_ports", "ports", (1e3, 5e3, 1e4), "ports not used by the source for 10 min", "vertical scans"),
    *_three("src_peers", "addresses", (1e3, 5e3, 1e4), "peers not met for 10 min", "horizontal scans, worms, P2P"),
    Feature("dst_starts_10", "flows", 1e4, "flows begun towards the destination, over 10 s", "floods"),
    Feature("dst_starts_60", "flows", 3e4, "flows begun towards the destination, over 60 s", "floods"),
    Feature("dst_sources_60", "addresses", 5e3, "sources new to the destination, over 60 s", "distributed floods"),
    Feature("dst_failures_60", "flows", 5e3, "failed flows towards the destination, over 60 s", "scans, an outage"),
    Feature("ch_count_600", "flows", 1e4, "flows of the channel, over 600 s", "brute force, beacons, busy clients"),
    Feature("ch_starts_10", "flows", 1e4, "flows of the channel, over 10 s", "floods, brute force"),
    Feature("ch_failures_60", "flows", 1e3, "failed flows of the channel, over 60 s", "retries, SYN floods"),
    Feature("ch_gaps", "gaps", 1e3, "gaps of 0.5 s and more seen between the channel's starts", "long-lived habits"),
    Feature("ch_gap", "s", 3600, "mean gap between the channel's starts, recent ones weighing more", "rare use"),
    Feature("ch_gap_cv", "ratio", 5, "spread of that gap against its mean; 1 while unknown", "people; low: machines"),
    Feature("ch_size_cv", "ratio", 5, "spread of the channel's flow sizes; 1 while unknown", "people; low: machines"),
    Feature("ch_short_60", "flows", 1e3, "short small answered flows of the channel, over 60 s", "password guessing"),
    Feature("ch_short_600", "flows", 1e4, "short small answered flows of the channel, over 600 s", "slow guessing"),
    Feature("src_out_600", "bytes", 1e10, "payload that the source sent, over 600 s", "exfiltration, backups"),
    Feature("src_out_share", "share", 1, "sent share of the source's payload, over 600 s", "exfiltration, uploads"),
    Feature("new_pair", "flag", 1, "the first flow of source and destination", "novelty"),
    Feature("new_port", "flag", 1, "the source's first flow to this port", "novelty"),
    Feature("new_dst", "flag", 1, "the first flow to this destination", "novelty"),
    Feature("port_rarity", "bits", 17, "how rare starts on this port are", "odd ports"),
    Feature("duration", "s", 3600, "duration of the flow so far", "tunnels, interactive sessions"),
    Feature("failed", "flag", 1, "this flow ended with nobody who answered", "scans"),
    Feature("mean_out", "bytes", 1500, "mean size of a packet from the originator", "uploads"),
    Feature("bytes_ratio", "share", 1, "originator's share of the flow's payload", "uploads, tunnels"),
    Feature("pair_ports_60", "ports", 5e3, "ports of the destination new to the source, over 60 s", "vertical scans"),
    Feature("pair_ports_600", "ports", 1e4, "the same, over 600 s", "vertical scans"),
    Feature("pair_failed_600", "flows", 1e4, "failed flows of the pair, over 600 s", "vertical scans"),
    Feature("pair_done_600", "flows", 1e4, "flows of the pair with an answer in payload, over 600 s", "ordinary use"),
    Feature("pair_starts_10", "flows", 1e5, "flows that the pair began, over 10 s", "floods"),
    Feature("pair_packets_10", "packets", 1e6, "packets from source to destination, over 10 s", "floods, transfers"),
    Feature("pair_answers_10", "packets", 1e6, "packets that came back, over 10 s", "transfers"),
    Feature("pair_empty_10", "flows", 1e5, "ended flows without payload either way, over 10 s", "SYN floods, scans"),
    Feature("sweep_peers_60", "addresses", 5e3, "destinations met on this one port, over 60 s", "horizontal scans"),
    Feature("sweep_peers_600", "addresses", 1e4, "the same, over 600 s", "horizontal scans"),
    Feature(
        "sweep_failed_600", "flows", 1e4, "failed flows of the source on this port, over 600 s", "horizontal scans"
    ),
    Feature("sweep_done_600", "flows", 1e4, "answered flows of the source on this port, over 600 s", "ordinary use"),
    Feature("src_slow_14400", "targets", 1e4, "targets that failed the source, over 4 h", "slow scans"),
    Feature("src_distinct_peers", "addresses", 1e5, "different peers of the source, 10 min, by sketch", "worms, P2P"),
    Feature("src_distinct_ports", "ports", 65536, "different ports that the source tried, likewise", "vertical scans"),
    Feature("dst_distinct_sources", "addresses", 1e5, "different sources of the destination, likewise", "floods"),
)

MODELS: tuple[str, ...] = (
    *(f"src_{what}_{horizon}" for what in ("starts", "failed", "ports", "peers") for horizon in (10, 60, 600)),
    "dst_starts_10", "dst_starts_60", "dst_sources_60", "dst_failures_60",
    "ch_count_600", "ch_starts_10", "ch_failures_60", "ch_gap", "ch_gap_cv", "ch_size_cv",
    "src_out_600", "src_out_share", "new_pair", "new_port", "new_dst", "port_rarity",
    "src_distinct_peers", "src_distinct_ports", "dst_distinct_sources",
    "duration", "failed", "mean_out", "bytes_ratio",
)  # fmt: skip
"""The features that models of what is usual look at; behaviours look at all."""

INDEX: Mapping[str, int] = {feature.name: column for column, feature in enumerate(FEATURES)}
