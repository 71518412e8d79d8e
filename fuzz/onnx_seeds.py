"""Writes the files `taken-…` of the corpus `onnx`: the smallest models of each family of operators.

    fuzz/onnx_seeds.py OUTCOMES DIR...

OUTCOMES is what the example `conformance` wrote with --json, each DIR what `suite.py` or `learning.py` of inference/conformance
wrote. `cargo run -p hedgerow-fuzz --example seeds`
makes those of `model` and `weights` out of them.
"""

import json
import pathlib
import sys

# One or more of each file of inference/src/ops/plain.
OPERATORS = """
Softmax Celu Add Clip Attention Where If Loop Scan Cast BitCast Conv ConvTranspose DeformConv NonMaxSuppression RoiAlign Col2Im Einsum
Normalizer Imputer FeatureVectorizer Range OneHot Trilu Gather ScatterND LabelEncoder OneHotEncoder Reshape Transpose Concat
TreeEnsemble Scaler LinearRegressor LinearClassifier NegativeLogLikelihoodLoss TfIdfVectorizer LayerNormalization
BatchNormalization Dropout MaxPool AveragePool Gemm MatMul DequantizeLinear QuantizeLinear QLinearConv LSTM GRU ReduceSum
ArgMax CumSum Resize RotaryEmbedding GridSample AffineGrid TopK Unique Slice Pad Split DFT STFT CausalConvWithState
LinearAttention HannWindow
""".split()
# A model that computes what a single operator does with a dozen others is here under the name of none.
SINGLE = "_expanded"
outcomes = json.loads(pathlib.Path(sys.argv[1]).read_text())["outcomes"]
refused = {outcome["name"] for outcome in outcomes if "passed" not in outcome["verdict"]}
corpus = pathlib.Path(__file__).parent / "corpus" / "onnx"
models = {}
for folder in sys.argv[2:]:
    for case in sorted((pathlib.Path(folder) / "cases").iterdir()):
        operator = json.loads((case / "case.json").read_text())["operator"]
        model = (case / "model.onnx").read_bytes()
        if operator in OPERATORS and SINGLE not in case.name and case.name not in refused:
            models[operator] = min(models.get(operator, model), model, key=len)
missing = [operator for operator in OPERATORS if operator not in models]
assert not missing, missing
corpus.mkdir(parents=True, exist_ok=True)
for operator, model in models.items():
    (corpus / f"taken-{operator}").write_bytes(model)
print(f"{len(models)} models, {sum(map(len, models.values()))} bytes")
