"""Make an ONNX graph, int8, of the weights of all-MiniLM-L6-v2.

    python minilm_graph.py model.safetensors model.onnx

Run once, when the model is installed, in an environment of its own that has `onnx`: nothing else needs that.
The network is BERT (https://arxiv.org/abs/1810.04805) with 6 layers of 12 heads over 384 dimensions, whose
token states are averaged and scaled to unit length (https://arxiv.org/abs/1908.10084).

Inputs `ids` and `mask`: int64 of (texts, tokens). Output `vectors`: float32 of (texts, 384), of length 1.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

LAYERS, HEADS, WIDTH = 6, 12, 384
_OPSET = 20  # the first with Gelu
_EPSILON = 1e-12


def main(weights: Path, target: Path) -> None:
    """Raises OSError or KeyError when `weights` is not that model."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "float.onnx"
        onnx.save(_Graph(_tensors(weights)).model(), str(whole))
        quantize_dynamic(whole, target, weight_type=QuantType.QInt8)


def _tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """The float32 tensors of a safetensors file: eight bytes of length, a JSON header, then the data."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    start = 8 + size
    tensors = {}
    for name, entry in json.loads(content[8:start]).items():
        if entry.get("dtype") == "F32":
            first, last = entry["data_offsets"]
            flat = np.frombuffer(content[start + first : start + last], dtype=np.float32)
            tensors[name] = flat.reshape(entry["shape"])
    return tensors


class _Graph:
    """Nodes and constants, added one after the other; each method gives the name of what it makes."""

    def __init__(self, tensors: dict[str, NDArray[np.float32]]) -> None:
        self._tensors = tensors
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def model(self) -> onnx.ModelProto:
        ends = self._mean(self._encoded(), "mask")
        self._node("LpNormalization", [ends], output="vectors", axis=-1, p=2)
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
            for name in ("ids", "mask")
        ]
        outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", WIDTH])]
        constants = list(self._constants.values())
        graph = helper.make_graph(self._nodes, "all-MiniLM-L6-v2", inputs, outputs, constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9)

    def _encoded(self) -> str:
        mask = self._node("Cast", ["mask"], to=TensorProto.FLOAT)
        absent = self._node("Sub", [self._constant("one", np.float32(1)), mask])
        bias = self._node("Mul", [absent, self._constant("never", np.float32(-1e9))])
        bias = self._node("Unsqueeze", [bias, self._constant("axes", np.array([1, 2]))])
        state = self._embedded()
        for layer in range(LAYERS):
            state = self._layer(f"encoder.layer.{layer}", state, bias)
        return state

    def _embedded(self) -> str:
        words = self._node("Gather", [self._weight("embeddings.word_embeddings.weight"), "ids"])
        length = self._node("Gather", [self._node("Shape", ["ids"]), self._constant("1", np.array(1))])
        table = self._weight("embeddings.position_embeddings.weight")
        ends = self._node("Unsqueeze", [length, self._constant("0", np.array([0]))])
        places = self._node("Slice", [table, self._constant("0", np.array([0])), ends])
        kind = self._tensors["embeddings.token_type_embeddings.weight"][0]
        summed = self._node("Add", [self._node("Add", [words, places]), self._constant("kind", kind)])
        return self._normalised("embeddings.LayerNorm", summed)

    def _layer(self, name: str, state: str, bias: str) -> str:
        attended = self._attention(f"{name}.attention", state, bias)
        state = self._normalised(f"{name}.attention.output.LayerNorm", self._node("Add", [attended, state]))
        inner = self._node("Gelu", [self._dense(f"{name}.intermediate.dense", state)])
        outer = self._dense(f"{name}.output.dense", inner)
        return self._normalised(f"{name}.output.LayerNorm", self._node("Add", [outer, state]))

    def _attention(self, name: str, state: str, bias: str) -> str:
        query, key, value = (
            self._heads(self._dense(f"{name}.self.{part}", state), part) for part in ("query", "key", "value")
        )
        scores = self._node("MatMul", [query, key])
        scale = self._constant("scale", np.float32((WIDTH // HEADS) ** -0.5))
        scores = self._node("Add", [self._node("Mul", [scores, scale]), bias])
        mixed = self._node("MatMul", [self._node("Softmax", [scores], axis=-1), value])
        joined = self._node("Transpose", [mixed], perm=[0, 2, 1, 3])
        joined = self._node("Reshape", [joined, self._constant("joined", np.array([0, 0, WIDTH]))])
        return self._dense(f"{name}.output.dense", joined)

    def _heads(self, state: str, part: str) -> str:
        shape = self._constant("heads", np.array([0, 0, HEADS, WIDTH // HEADS]))
        order = [0, 2, 3, 1] if part == "key" else [0, 2, 1, 3]
        return self._node("Transpose", [self._node("Reshape", [state, shape])], perm=order)

    def _dense(self, name: str, state: str) -> str:
        weight = self._constant(f"{name}.weight", self._tensors[f"{name}.weight"].T.copy())
        return self._node("Add", [self._node("MatMul", [state, weight]), self._weight(f"{name}.bias")])

    def _normalised(self, name: str, state: str) -> str:
        inputs = [state, self._weight(f"{name}.weight"), self._weight(f"{name}.bias")]
        return self._node("LayerNormalization", inputs, axis=-1, epsilon=_EPSILON)

    def _mean(self, state: str, mask: str) -> str:
        """Of the tokens that are there."""
        present = self._node("Cast", [mask], to=TensorProto.FLOAT)
        present = self._node("Unsqueeze", [present, self._constant("last", np.array([-1]))])
        axis = self._constant("tokens", np.array([1]))
        total = self._node("ReduceSum", [self._node("Mul", [state, present]), axis], keepdims=0)
        return self._node("Div", [total, self._node("ReduceSum", [present, axis], keepdims=0)])

    def _weight(self, name: str) -> str:
        return self._constant(name, self._tensors[name])

    def _constant(self, name: str, value: NDArray[np.generic] | np.generic) -> str:
        self._constants.setdefault(name, numpy_helper.from_array(np.asarray(value), name))
        return name

    def _node(self, kind: str, inputs: list[str], output: str = "", **attributes: object) -> str:
        output = output or f"{kind}.{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
