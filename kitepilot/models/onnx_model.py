"""Any exported model: an ONNX graph from PyTorch, scikit-learn or elsewhere, run on one thread.

The graph has one input, float32 or float64 [rows, F] with rows free, and says the probability of a true label
as [rows], [rows, 1] or [rows, 2] (the second column). With several outputs, the card's parameter `output`
names it; scikit-learn's exporter must be told `zipmap=False`.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from kitepilot.models.artifact import require_width
from kitepilot.models.port import Floats, ModelCard, ModelError

FLOATS = {"tensor(float)": np.float32, "tensor(double)": np.float64}
PROBES = 64


class OnnxModel:
    """A graph checked when it is loaded: its input, its output, and that what it says are probabilities."""

    def __init__(self, session: Any, card: ModelCard) -> None:
        self._session, self._card = session, card
        told = session.get_inputs()[0]
        self._input: str = told.name
        self._dtype = FLOATS[told.type]
        self._output = _output(session, card)

    @classmethod
    def from_artifact(cls, artifact: bytes, card: ModelCard) -> Self:
        """`artifact` is the ONNX file's bytes, its weights inside.

        Raises:
            ModelError: no ONNX graph, an input or output of another type or shape, or it says something else
                than probabilities.
        """
        session = _opened(artifact, card)
        _require_input(session, card)
        model = cls(session, card)
        model._probe()
        return model

    @property
    def model_id(self) -> str:
        return self._card.model_id

    def score(self, x: Floats) -> Floats:
        (found,) = self._session.run([self._output], {self._input: np.ascontiguousarray(x, self._dtype)})
        said = np.asarray(found, dtype=np.float64)
        return said if said.ndim == 1 else np.ascontiguousarray(said[:, -1])

    def _probe(self) -> None:
        """Rows near 0 and far from it: a graph without its last sigmoid or softmax shows itself here."""
        rows = np.random.default_rng(0).normal(0.0, 1.0, (PROBES, len(self._card.features)))
        rows[PROBES // 2 :] *= 100.0
        try:
            (raw,) = self._session.run([self._output], {self._input: rows.astype(self._dtype)})
        except Exception as err:  # onnxruntime's own exceptions share no public base
            raise ModelError(f"model {self._card.model_id} cannot be run: {_first_line(err)}") from err
        if raw.shape not in {(PROBES,), (PROBES, 1), (PROBES, 2)}:
            raise ModelError(
                f"model {self._card.model_id}: its output {self._output!r} has shape {list(raw.shape)} for "
                f"{PROBES} rows; a probability is [rows], [rows, 1] or [rows, 2]"
            )
        said = self.score(rows)
        if not ((said >= 0.0) & (said <= 1.0)).all():
            raise ModelError(
                f"model {self._card.model_id} says {said.min():.3g} to {said.max():.3g}, which are no "
                "probabilities; export it with its last sigmoid or softmax"
            )


def _opened(artifact: bytes, card: ModelCard) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # its errors are raised; its log would add lines of its own
    try:
        return onnxruntime.InferenceSession(artifact, options, providers=["CPUExecutionProvider"])
    except Exception as err:  # onnxruntime's own exceptions share no public base
        raise ModelError(f"model {card.model_id} is not an ONNX model: {_first_line(err)}") from err


def _require_input(session: Any, card: ModelCard) -> None:
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(one.name for one in inputs)
        raise ModelError(
            f"model {card.model_id} has {len(inputs)} inputs ({names}); it must have one [rows, F]"
        )
    (only,) = inputs
    if only.type not in FLOATS:
        raise ModelError(
            f"model {card.model_id}: its input {only.name!r} is {only.type}, not float or double"
        )
    if len(only.shape) != 2 or isinstance(only.shape[0], int):
        raise ModelError(
            f"model {card.model_id}: its input {only.name!r} has shape {only.shape}; export it as [rows, F] "
            "with a dynamic first axis"
        )
    if isinstance(only.shape[1], int):
        require_width(only.shape[1], card)


def _output(session: Any, card: ModelCard) -> str:
    """The one output that can be a probability, or the one that the card names."""
    told: dict[str, str] = {one.name: one.type for one in session.get_outputs()}
    named = card.parameters.get("output")
    fitting = [name for name, kind in told.items() if kind in FLOATS and named in (None, name)]
    if len(fitting) != 1:
        found = ", ".join(f"{name}: {kind}" for name, kind in told.items())
        wanted = f"no floating-point output {named!r}" if named else f"{len(fitting)} floating-point outputs"
        raise ModelError(
            f"model {card.model_id} has {wanted} ({found}); name one in the card's parameter `output`"
            + ("; export with zipmap=False" if "seq(" in found else "")
        )
    (output,) = fitting
    return output


def _first_line(err: Exception) -> str:
    return str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__
