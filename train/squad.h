// Questions about contexts, from SQuAD's JSON (Rajpurkar et al. 2016; version
// 2.0, 2018, has questions without an answer).
//
// Thread-safe: pure functions.

#ifndef TERN_TRAIN_SQUAD_H_
#define TERN_TRAIN_SQUAD_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tokenizer/tokenizer.h"
#include "train/dataset.h"

namespace tern {

struct Question {
  std::string id;
  std::string text;
  int context = 0;  // index into QuestionSet::contexts
  // As annotators gave them; empty where the context has none.
  std::vector<std::string> answers;
  // Of the context: the answer that most annotators gave, of equals the first;
  // empty without one.
  TextSpan answer;
};

struct QuestionSet {
  std::string path;
  // SQuAD 2.0: some questions may have no answer, and its evaluator's rules
  // apply.
  bool may_be_impossible = false;
  std::vector<std::string> contexts;
  std::vector<Question> questions;
};

// Reads one or several files, `paths` separated by commas.
// Errors: NOT_FOUND; INVALID_ARGUMENT naming the file and the place in it for
// what is not SQuAD's JSON, an answer that does not stand at its answer_start,
// or a file without questions.
absl::StatusOr<QuestionSet> ReadSquad(absl::string_view paths);

struct WindowOptions {
  int max_tokens = 384;
  int doc_stride = 128;  // tokens that neighbouring windows share
};

// Each question with its context in windows, as the server makes them.
struct QuestionWindows {
  QuestionSet set;
  TokenizedDataset tokens;            // a sequence for each window
  std::vector<Encoding> encodings;    // of the same windows
  std::vector<int> question_indices;  // of the same windows, ascending
};

// Errors: INVALID_ARGUMENT for invalid UTF-8, naming the question.
absl::StatusOr<QuestionWindows> MakeWindows(QuestionSet set,
                                            const Tokenizer& tokenizer,
                                            const WindowOptions& options);

}  // namespace tern

#endif  // TERN_TRAIN_SQUAD_H_
