"""Names of timm's networks, read without importing timm."""

from __future__ import annotations

import pytest
import timm

from landmark_kd.config.backbones import is_timm_network, timm_networks


def test_the_names_are_timms_own() -> None:
    assert timm_networks() == sorted(timm.list_models())


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("mobilenetv2_100", True),
        ("mobilenetv2_100.ra_in1k", True),
        ("mobilenetv2_100.no_such_tag", False),
        ("hf-hub:timm/mobilenetv2_100", False),
        ("local-dir:/tmp/network", False),
        ("", False),
    ],
)
def test_published_weights_are_known_and_hubs_and_folders_are_not(name: str, known: bool) -> None:
    assert is_timm_network(name) == known
