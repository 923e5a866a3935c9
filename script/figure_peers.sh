# Sourced by figures about speed: makes BERTs to time, and their peers, in
# .cache/peers.
#
# $PEERS/SHAPE, SHAPE being bert-base or minilm, has hf/ (a Hugging Face folder,
# random weights unless there already), ternary/ (of it, by tern-model) and what
# bench/peers/export*.py make; $PEERS/venv is a Python with the peers. All of it
# takes some fifteen minutes the first time.

export PEERS=${TERN_PEERS:-$TERN_REPO/.cache/peers}
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE

# bert_folder SHAPE: makes hf/ and ternary/ where missing.
bert_folder() {
  local out=$PEERS/$1
  if ! [ -f "$out/hf/model.safetensors" ]; then
    "$("$TERN_PYTHON_REFERENCE" --group tokenizers)" \
      "$TERN_REPO/bench/peers/random_bert.py" "$1" \
      "$TERN_DATA/data/vocab/bert-base-uncased.txt" "$out/hf" >&2
  fi
  if ! [ -f "$out/ternary/model.safetensors" ]; then
    "$TERN_BUILD/bin/tern-model" ternarize "$out/hf" "$out/ternary" >&2
  fi
}

# The peers' Python; torch has another, 5 GB.
peers_python() {
  local python=$PEERS/venv/bin/python
  if ! "$python" -c 'import nncf, onnxruntime, openvino, tokenizers' 2>/dev/null; then
    /usr/bin/python3 -m venv "$PEERS/venv" >&2
    "$python" -m pip install --quiet --disable-pip-version-check \
      onnxruntime==1.32.0 openvino==2026.4.1 nncf==3.4.0 tokenizers==0.23.3 >&2
  fi
  echo "$python"
}

# peer_model SHAPE: all that is missing of it; exports TORCH_PYTHON.
peer_model() {
  local out=$PEERS/$1
  bert_folder "$1"
  TORCH_PYTHON=$("$TERN_PYTHON_REFERENCE" --group torch)
  export TORCH_PYTHON
  if ! [ -f "$out/int8_rr.onnx" ]; then
    "$TORCH_PYTHON" -m pip install --quiet --disable-pip-version-check \
      onnx==1.23.2 onnxruntime==1.32.0 sympy >&2
    "$TORCH_PYTHON" "$TERN_REPO/bench/peers/export.py" "$out" >&2
  fi
  if ! [ -f "$out/openvino_int8.xml" ]; then
    "$(peers_python)" "$TERN_REPO/bench/peers/export_openvino.py" "$out" \
      "$TERN_DATA/data/SST-2/dev.tsv" >&2
  fi
}
