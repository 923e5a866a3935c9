# Sourced by figures that compare with other engines: fills .cache/peers.
#
# $PEERS/venv has the peers themselves; $PEERS/bert-base and $PEERS/minilm have
# hf/ (a Hugging Face folder), ternary/ (of it, by tern-model) and what
# bench/peers/export*.py make. The first time takes some ten minutes.

export PEERS=${TERN_PEERS:-$TERN_REPO/.cache/peers}
export TORCH_PYTHON
TORCH_PYTHON=$("$TERN_PYTHON_REFERENCE" --group torch)
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE

# The peers' Python; torch's is a separate one, 5 GB.
peers_python() {
  local python=$PEERS/venv/bin/python
  if ! "$python" -c 'import nncf, onnxruntime, openvino, tokenizers' 2>/dev/null; then
    /usr/bin/python3 -m venv "$PEERS/venv" >&2
    "$python" -m pip install --quiet --disable-pip-version-check \
      onnxruntime==1.32.0 openvino==2026.4.1 nncf==3.4.0 tokenizers==0.23.3 >&2
  fi
  echo "$python"
}

# peer_model SHAPE: makes what is missing of $PEERS/SHAPE.
peer_model() {
  local out=$PEERS/$1
  if ! [ -f "$out/int8_rr.onnx" ]; then
    "$TORCH_PYTHON" -m pip install --quiet --disable-pip-version-check \
      onnx==1.23.2 onnxruntime==1.32.0 sympy >&2
    "$TORCH_PYTHON" "$TERN_REPO/bench/peers/export.py" "$1" \
      "$TERN_DATA/data/vocab/bert-base-uncased.txt" "$out" >&2
  fi
  if ! [ -f "$out/openvino_int8.xml" ]; then
    "$(peers_python)" "$TERN_REPO/bench/peers/export_openvino.py" "$out" \
      "$TERN_DATA/data/SST-2/dev.tsv" >&2
  fi
  if ! [ -f "$out/ternary/model.safetensors" ]; then
    "$TERN_BUILD/bin/tern-model" ternarize "$out/hf" "$out/ternary" >&2
  fi
}
