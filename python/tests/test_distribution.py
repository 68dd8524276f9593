"""What the wheel contains."""

from __future__ import annotations

from importlib.metadata import distribution, metadata


def test_the_wheel_has_the_licences_and_the_types() -> None:
    names = [str(file) for file in distribution("enfilade").files or []]
    folder = f"enfilade-{metadata('enfilade')['Version']}.dist-info/licenses"
    assert f"{folder}/LICENSE-APACHE" in names and f"{folder}/LICENSE-MIT" in names
    assert "enfilade/py.typed" in names and "enfilade/_native.pyi" in names
    assert metadata("enfilade")["License-Expression"] == "MIT OR Apache-2.0"
