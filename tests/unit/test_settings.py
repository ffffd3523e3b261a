"""Configuration files: strict, and helpful about what is wrong."""

import pytest

from headway import settings
from headway.errors import InvalidInput
from headway.model.plan import AppConfig


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('name = "web"\nmetricss = []', 'unknown key "metricss"; did you mean "metrics"?'),
        ('name = "web"\n[[plans.default]]\nteir = "x"', 'did you mean "tier"?'),
        ('name = "web"\nzzzzzzzz = 1', 'unknown key "zzzzzzzz"'),
        ('name = "Web App"', "matching regex"),
        ("name = 3", "Expected `str`"),
        ("name = ", "not valid TOML"),
        ("", "missing required field `name`"),
        (
            'name = "web"\n[[plans.fast]]\ntier = "x"\n'
            '[[plans.slow]]\ntier = "x"\n[[plans.slow]]\ntier = "x"\nconcurrency = "many"',
            " in plans.slow, entry 2, concurrency",
        ),
        (
            'name = "web"\n[[plans.slow]]\ntier = "x"\n[[plans.slow]]\nteir = "x"',
            'unknown key "teir" in plans.slow, entry 2; did you mean "tier"?',
        ),
        ('name = "web"\n[[plans."A B"]]\ntier = "x"', " in plans, for a name"),
        ('name = "web"\nplans = 3', "Expected `object`, got `int` in plans"),
        ('name = "web"\n[[metrics]]\nname = 1', " in metrics, entry 1, name"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text: str, sentence: str) -> None:
    path = tmp_path / "app.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput) as refusal:
        settings.read(path, AppConfig)
    assert sentence in refusal.value.sentence
    assert "app.toml" in refusal.value.sentence


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(InvalidInput, match="there is no file"):
        settings.read(tmp_path / "none.toml", AppConfig)


def test_a_good_file_is_read(tmp_path) -> None:
    path = tmp_path / "app.toml"
    path.write_text('name = "web"\n[[plans.fast]]\ntier = "production"\nconcurrency = 3\n')
    config = settings.read(path, AppConfig)
    assert config.plans["fast"][0].concurrency == 3
