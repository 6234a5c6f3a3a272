"""Settings in a trial's identity: what a record of them holds, and how it is read when a field has joined since."""

import json
from typing import Literal

import pytest
from pydantic import Field, ValidationError

from transfer_sweep.datasets.base import Recorded, added_later


class First(Recorded):
    """As it was when the first records were written."""

    rate: float = Field(0.1, gt=0, description="of learning")
    layers: int = 2


class Grown(First):
    """As it is now: new trials average 5 models by default, earlier ones averaged none."""

    models: int = added_later(5, before=1, ge=1, description="averaged")
    mode: Literal["old", "new"] = added_later("new", before="old")
    sizes: tuple[int, ...] = added_later((), before=[])


def test_without_later_fields_a_record_is_every_field_in_order() -> None:
    assert json.dumps(First(rate=0.5).encode()) == '{"rate": 0.5, "layers": 2}'


def test_a_later_field_at_the_earlier_behaviour_leaves_the_record_as_it_was() -> None:
    assert Grown(models=1, mode="old").encode() == First().encode()


def test_a_later_field_at_any_other_value_is_recorded_its_default_too() -> None:
    assert Grown().encode() == {"rate": 0.1, "layers": 2, "models": 5, "mode": "new"}
    assert Grown(models=3, mode="old", sizes=(2, 1)).encode() == {
        "rate": 0.1,
        "layers": 2,
        "models": 3,
        "sizes": [2, 1],
    }


def test_a_record_from_before_a_field_means_the_earlier_behaviour_not_the_default() -> None:
    read = Grown.decode(json.loads('{"rate": 0.5, "layers": 3}'))
    assert read == Grown(rate=0.5, layers=3, models=1, mode="old", sizes=())
    assert Grown(rate=0.5, layers=3).models == 5


@pytest.mark.parametrize("settings", [Grown(), Grown(models=1), Grown(mode="old", sizes=(3,)), Grown(rate=2.0)])
def test_a_record_gives_back_the_settings_it_was_made_of(settings: Grown) -> None:
    assert Grown.decode(json.loads(json.dumps(settings.encode()))) == settings


@pytest.mark.parametrize("record", [{"models": 0}, {"rates": 0.1}, {"rate": float("inf")}])
def test_a_record_that_does_not_fit_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Grown.decode(record)
