"""Photographs dealt into styles."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from transfer_sweep.datasets.base import DataError, Domain, Samples
from transfer_sweep.datasets.images.decoding import PictureOptions
from transfer_sweep.datasets.images.styles import STYLES, cartoon, drawing, silhouette
from transfer_sweep.datasets.office_caltech10_images import OfficeCaltech10Images
from transfer_sweep.datasets.office_caltech10_styles import OfficeCaltech10Styles

SIDE = 64
PER_CLASS = 6


def square() -> Image.Image:
    """A dark red square on white."""
    image = Image.new("RGB", (SIDE, SIDE), "white")
    ImageDraw.Draw(image).rectangle((16, 16, 47, 47), fill=(120, 10, 10))
    return image


@pytest.fixture
def styles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OfficeCaltech10Styles:
    """Over four cameras of six photographs a class, each of one grey level of its own in one corner."""

    def load(own: OfficeCaltech10Images, domain: str) -> Domain:
        labels = np.repeat(np.arange(10), PER_CLASS)
        pixels = np.array(square()).transpose(2, 0, 1)[None].repeat(len(labels), axis=0)
        pixels[:, 0, 0, 0] = 4 * np.arange(len(labels))
        pixels[:, 1, 0, 0] = 60 * own.domains.index(domain)
        return Domain(domain, Samples(pixels, labels))

    monkeypatch.setattr(OfficeCaltech10Images, "load", load)
    return OfficeCaltech10Styles(tmp_path, PictureOptions(size=SIDE), cache=tmp_path / "cache")


def test_every_photograph_is_in_one_domain_and_each_domain_has_its_share_of_every_class_of_every_camera(
    styles: OfficeCaltech10Styles, monkeypatch: pytest.MonkeyPatch
) -> None:
    for style in STYLES:
        monkeypatch.setitem(STYLES, style, np.asarray)  # so that the corner tells which photograph it was
    domains = {name: styles.load(name).train for name in styles.domains}
    seen = [tuple(image[:2, 0, 0]) for samples in domains.values() for image in samples.inputs]
    assert len(seen) == len(set(seen)) == 4 * 10 * PER_CLASS
    for samples in domains.values():
        camera = samples.inputs[:, 1, 0, 0]
        for of in np.unique(camera):
            counts = np.bincount(samples.labels[camera == of], minlength=10)
            assert set(counts) <= {PER_CLASS // 4, PER_CLASS // 4 + 1}
        assert (samples.labels == samples.inputs[:, 0, 0, 0] // (4 * PER_CLASS)).all()


def test_a_domain_is_the_same_every_time_and_a_picture_from_elsewhere_looks_like_it(
    styles: OfficeCaltech10Styles, tmp_path: Path
) -> None:
    again = OfficeCaltech10Styles(tmp_path, styles.options)  # without a cache
    for name in styles.domains:
        assert (styles.load(name).train.inputs == again.load(name).train.inputs).all()
    assert (styles.from_picture(square(), "silhouette") == silhouette(square()).transpose(2, 0, 1)).all()


def test_a_silhouette_is_black_where_the_thing_is_a_drawing_has_its_outline_and_a_cartoon_few_colours() -> None:
    black, lines = (style(square())[..., 0] == 0 for style in (silhouette, drawing))
    assert black[20:44, 20:44].all()
    assert not black[:10].any()
    assert lines[16, 20:44].all()
    assert not lines[24:40, 24:40].any()
    assert set(np.unique(cartoon(square()))) <= {0, 64, 128, 192}


def test_an_unknown_style_is_refused(styles: OfficeCaltech10Styles) -> None:
    with pytest.raises(DataError, match="no domain 'sketch'"):
        styles.load("sketch")
