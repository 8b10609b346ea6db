"""The charts: bounded, escaped, described."""

import re
import xml.etree.ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from compliance.reports.charts import WIDTH, Bar, bar_chart, column_chart, shorten

XML_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=60)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.tuples(XML_TEXT, st.floats(0, 1e12)), max_size=12))
def test_bars_stay_inside_and_say_their_labels(rows: list[tuple[str, float]]) -> None:
    svg = ET.fromstring(bar_chart("c", "T", "D", [Bar(label, value, "v", "low") for label, value in rows]))
    assert [element.tag for element in svg[:2]] == ["title", "desc"]
    for rect in svg.iter("rect"):
        assert 0 <= float(rect.attrib["width"]) <= WIDTH - float(rect.attrib["x"])
    assert [text.text or "" for text in svg.iter("text") if text.attrib["class"] == "label"] == [
        shorten(label) for label, _ in rows
    ]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["allow", "deny"]), st.integers(0, 10**9)), max_size=40))
def test_columns_stay_inside(columns: list[dict[str, int]]) -> None:
    svg = ET.fromstring(column_chart("c", "T", "D", [("t", counts) for counts in columns], ("allow", "deny")))
    height = float(svg.attrib["viewBox"].split()[3])
    for rect in svg.iter("rect"):
        assert -0.5 <= float(rect.attrib["y"]) <= height
        assert float(rect.attrib["x"]) + float(rect.attrib["width"]) <= WIDTH + 0.5


def test_the_largest_bar_is_full_and_half_is_half() -> None:
    text = bar_chart("c", "T", "D", [Bar("a", 2.0, "2", "low"), Bar("b", 1.0, "1", "low")])
    full, half = (float(width) for width in re.findall(r'fill-low" [^>]*width="([\d.]+)"', text))
    assert full == 2 * half
