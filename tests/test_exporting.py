"""ONNX files say what PyTorch says, whatever the number of windows; without the libraries a line says what is missing.

Equality of the form that is exported is tested without them; the files, where they are installed (``everywear[onnx]``).
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import everywear
from model.autoencoder import LSM1, Architecture, MaskedAutoencoder
from model.exporting import FILES, Reconstruct, difference, examples, export
from model.training import Origin, save_model
from model.windows import Normaliser
from simulator.signals import SIGNALS

SHAPE = Architecture(window_minutes=300, width=16, depth=1, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2)
SHAPES = {
    "aim": SHAPE,
    "full": replace(SHAPE, decoder="full", signal_order=tuple(signal.name for signal in reversed(SIGNALS))),
    "lsm1": replace(SHAPE, **LSM1),
}
UNITS = Normaliser(
    tuple((signal.low + signal.high) / 2 for signal in SIGNALS),
    tuple((signal.high - signal.low) / 20 for signal in SIGNALS),
)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("file", FILES)
def test_what_is_exported_says_what_the_network_says(file: str, shape: str) -> None:
    """Nothing gathered, units in and out: the same numbers; and a wrong answer is told from a right one."""
    network = MaskedAutoencoder(SHAPES[shape], 1)
    kind, names, output = FILES[file]
    inputs = {name: value for name, value in examples(network, UNITS).items() if name in names}
    with torch.no_grad():
        said = kind(network, UNITS)(**{name: torch.from_numpy(value) for name, value in inputs.items()}).numpy()
    assert difference(network, UNITS, output, inputs, said) < 1e-4
    assert np.isfinite(said[:, :1] if output == "vector" else said[network_cells(network, inputs)]).all()
    other = MaskedAutoencoder(SHAPES[shape], 2)
    assert difference(other, UNITS, output, inputs, said) > 0.01


def network_cells(network: MaskedAutoencoder, inputs: dict[str, np.ndarray]) -> np.ndarray:
    return network.hidden_cells(torch.from_numpy(inputs["hidden"])).numpy()


def test_a_cell_that_was_not_hidden_has_to_come_back() -> None:
    network = MaskedAutoencoder(SHAPE, 1)
    inputs = examples(network, UNITS)
    with torch.no_grad():
        said = Reconstruct(network, UNITS)(**{name: torch.from_numpy(value) for name, value in inputs.items()}).numpy()
    cell = tuple(np.argwhere(~network_cells(network, inputs) & inputs["observed"])[0])
    said[cell] += 1
    assert difference(network, UNITS, "filled", inputs, said) == np.inf


@pytest.mark.parametrize("shape", ["aim", "lsm1"])
def test_files_run_in_onnx_runtime(shape: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    network = MaskedAutoencoder(SHAPES[shape], 1)
    save_model(tmp_path / "model", network, UNITS, Origin(seed=1))
    found = export(tmp_path / "model", tmp_path / "out")
    assert set(found) == set(FILES)
    assert max(found.values()) < 1e-3
    inputs = examples(network, UNITS)
    for file, (_, names, output) in FILES.items():
        session = onnxruntime.InferenceSession(tmp_path / "out" / file)
        assert [(x.name, x.shape[1:]) for x in session.get_inputs()] == [
            (name, list(inputs[name].shape[1:])) for name in names
        ]
        for n in (1, 3, 7):
            chosen = {name: np.resize(inputs[name], (n, *inputs[name].shape[1:])) for name in names}
            (said,) = session.run([output], chosen)
            assert difference(network, UNITS, output, chosen, said) < 1e-3


@pytest.mark.parametrize("library", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_library_is_named_in_one_line(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    (tmp_path / "model.json").touch()
    assert everywear.main(["export", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "pip install 'everywear[onnx]'" in said
    assert not (tmp_path / "out").exists()
