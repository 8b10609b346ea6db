"""The page of the models says what the code's table says."""

from pathlib import Path

from risk.windows import FEATURES, MODELS

PAGE = Path(__file__).parents[3] / "docs" / "risk-models.md"


def test_the_page_lists_every_feature_as_it_is() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `") and line.count("|") == 7]
    expected = [
        f"| `{each.name}` | {each.unit} | 0 to {each.top:,g} | {each.meaning} | {each.raised_by} "
        f"| {'yes' if each.name in MODELS else ''} |"
        for each in FEATURES
    ]
    assert lines == expected


def test_models_look_at_thirty_five_features() -> None:
    assert len(MODELS) == len(set(MODELS)) == 35
    assert set(MODELS) <= {each.name for each in FEATURES}
