# What the figures of the models in models/ share; sourced after
# figure_train.sh. A model's folder is named TASK-ARCHITECTURE. Its card has
# rows "| teacher, 32-bit floats | ... | SCORE% |" and "| student, ternary, as
# served | ... | SCORE% |", SCORE being what score_of prints.

# find_task MODEL: sets $task and $dev_file, its dev file.
find_task() {
  local data=$TERN_DATA/data
  case ${1%%-*} in
    sst2) task=sst-2 dev_file=$data/SST-2/dev.tsv ;;
    cola) task=cola dev_file=$data/CoLA/dev.tsv ;;
    mrpc) task=mrpc dev_file=$data/MRPC/dev.tsv ;;
    rte) task=rte dev_file=$data/RTE/dev.tsv ;;
    stsb) task=sts-b dev_file=$data/STS-B/dev.tsv ;;
    squad) task=squad dev_file=$data/squad/dev-v1.1.json ;;
    *) echo "models/$1: no task is known by that name" >&2; return 1 ;;
  esac
}

# evaluate_model MODEL FLAG...: tern-train evaluate on its task's dev file.
evaluate_model() {
  local model=$1
  shift
  find_task "$model" &&
    "$tern_train" evaluate --from="$TERN_REPO/models/$model" --task="$task" \
      --dev-file="$dev_file" "$@"
}

# score_of JSON: from evaluate's line the task's score in percent, two digits:
# F1 for SQuAD, the mean of GLUE's metrics for other tasks.
score_of() {
  python3 -c '
import json, sys
metrics = json.loads(sys.argv[1])["metrics"]
values = [metrics["f1"]] if "exact_match" in metrics else list(metrics.values())
print(f"{100 * sum(values) / len(values):.2f}")' "$1"
}

# card_score MODEL ROW: the score in that row of its card.
card_score() {
  local card=$TERN_REPO/models/$1/README.md score
  score=$(sed -n "s/^| $2 .* \([0-9.]*\)% |\$/\1/p" "$card")
  [ -n "$score" ] || { echo "$card: no row '| $2 | ... | SCORE% |'" >&2; return 1; }
  echo "$score"
}

# table_scores MODEL: the scores of teacher and student in its row of
# docs/results.md, whose first cell is "TASK, ARCHITECTURE..., shipped", as
# score_of prints them.
table_scores() {
  python3 -c '
import re, sys
model, path = sys.argv[1:]
key = lambda text: re.sub("[^a-z0-9]", "", text.lower())
for line in open(path):
    cells = [cell.strip() for cell in line.split("|")]
    if len(cells) < 4 or not cells[1].endswith(", shipped"): continue
    task, architecture = cells[1].split(",")[:2]
    task, architecture = task.split(" ")[0], architecture.split(" (")[0]
    if key(task + architecture) != key(model): continue
    for cell in cells[2:4]:
        scores = [float(score) for score in cell.split(",")]
        if task == "SQuAD": scores = scores[1:]
        print(f"{sum(scores) / len(scores):.2f}", end=" ")
    sys.exit()
sys.exit(f"{path}: no row of {model}")' "$1" "$TERN_REPO/docs/results.md"
}

# shipped_loss MODEL BAR: evaluates the model as served and compares with its
# teacher's score; fails where it loses more than BAR points, or does not ship.
shipped_loss() {
  local model=$1 bar=$2 teacher line student
  [ -d "$TERN_REPO/models/$model" ] || {
    echo "models/$model does not ship: there is nothing to evaluate" >&2
    return 1
  }
  teacher=$(card_score "$model" "teacher, 32-bit floats") || return 1
  build_trainer tern-train
  line=$(evaluate_model "$model") || return 1
  echo "$line"
  student=$(score_of "$line")
  awk -v student="$student" -v teacher="$teacher" -v bar="$bar" -v name="$model" 'BEGIN {
    loss = teacher - student
    printf "%s: student %.2f, teacher %.2f, loss %.2f points (bar %s)\n",
      name, student, teacher, loss, bar
    exit !(loss <= bar + 1e-9)
  }'
}

# logits_difference MODEL: the largest difference between logits of the serving
# engine and of the trainer's forward pass, the first 200 examples of dev.
logits_difference() {
  local precision
  for precision in ternary trainer; do
    evaluate_model "$1" --dev-examples=200 --precision="$precision" \
      --logits="$work/$precision" >/dev/null || return 1
  done
  python3 -c '
import math, sys
ternary, trainer = ([line.split("\t") for line in open(path)] for path in sys.argv[1:])
if len(ternary) < 200 or [*map(len, ternary)] != [*map(len, trainer)]:
    sys.exit(f"logits of {len(ternary)} and {len(trainer)} examples; expected the same 200 or more")
differences = [abs(float(a) - float(b)) for x, y in zip(ternary, trainer) for a, b in zip(x, y)]
if not all(map(math.isfinite, differences)):
    sys.exit("logits that are no finite numbers")
print(f"{max(differences):.2g}")' "$work/ternary" "$work/trainer"
}
