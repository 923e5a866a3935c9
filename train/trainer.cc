#include "train/trainer.h"

#include <algorithm>
#include <cmath>
#include <csignal>

#include "ATen/ATen.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "train/batches.h"
#include "train/checkpoint.h"
#include "train/learning_curves.h"
#include "train/progress_bar.h"
#include "train/run_log.h"
#include "train/weight_average.h"

namespace tern {
namespace {

// Set by SIGTERM and SIGINT.
volatile std::sig_atomic_t stop_requested = 0;

// Notes the signals while a run lasts.
class StopSignals {
 public:
  StopSignals() {
    stop_requested = 0;
    struct sigaction action = {};
    action.sa_handler = [](int) { stop_requested = 1; };
    action.sa_flags = SA_RESETHAND;  // a second one does not wait
    sigaction(SIGTERM, &action, &old_term_);
    sigaction(SIGINT, &action, &old_int_);
  }
  ~StopSignals() {
    sigaction(SIGTERM, &old_term_, nullptr);
    sigaction(SIGINT, &old_int_, nullptr);
  }

 private:
  struct sigaction old_term_;
  struct sigaction old_int_;
};

class Run {
 public:
  Run(const TrainingJob& job, const TrainerOptions& options)
      : job_(job),
        options_(options),
        optimizer_(job.module->parameters(), options.adamw),
        average_(job.module->parameters(), options.average_decay) {
    const int64_t per_step =
        static_cast<int64_t>(options.batch_size) * options.accumulate;
    const int64_t sequences = job.train->sequences.size();
    steps_per_epoch_ = (sequences + per_step - 1) / per_step;
    steps_ = steps_per_epoch_ * options.epochs;
  }
  ~Run() { job_.module->SetSecondMoments(nullptr); }

  absl::StatusOr<TrainingResult> Go() {
    absl::Status status = Prepare();
    if (!status.ok()) return status;
    ProgressBar bar(job_.title, "steps", progress_.step, steps_);
    const StopSignals signals;
    if (job_.save_start && !options_.resume) {
      status = Save();
      if (!status.ok()) return status;
    }
    absl::Time saved = absl::Now();
    while (true) {
      if (IsEvaluationDue()) status = Evaluate(bar);
      if (!status.ok() && !absl::IsCancelled(status)) return status;
      if (stop_requested != 0 || IsToStopHere()) return StopHere();
      if (progress_.step == steps_) break;
      if (absl::Now() - saved >= options_.checkpoint_interval) {
        status = Save();
        if (!status.ok()) return status;
        saved = absl::Now();
      }
      status = Step(bar);
      if (!status.ok()) return status;
    }
    status = Save();
    if (!status.ok()) return status;
    return TrainingResult{progress_.best_score, progress_.best_step, steps_};
  }

 private:
  absl::Status Prepare() {
    if (options_.resume) {
      absl::Status status = LoadCheckpoint(
          job_.folder.checkpoint(), job_.description, progress_,
          job_.module->parameters(), optimizer_.state(), average_.averages());
      if (!status.ok()) return status;
      RefreshQuantizedWeights();
    }
    absl::Status status =
        log_.Open(job_.folder.log(), options_.resume ? progress_.step : -1);
    if (!status.ok()) return status;
    return log_.Write({{"event", options_.resume ? "resume" : "start"},
                       {"step", progress_.step},
                       {"steps", steps_},
                       {"options", job_.description}});
  }

  // Of the present step: a resumed run draws the same. Before the first step
  // there are no moments to go by.
  void RefreshQuantizedWeights() {
    if (progress_.step > 0) {
      job_.module->SetSecondMoments(&optimizer_.state().second_moments);
    }
    job_.module->RefreshQuantizedWeights(
        MixSeeds(options_.seed, progress_.step));
  }

  absl::Status Step(ProgressBar& bar) {
    const int64_t epoch = progress_.step / steps_per_epoch_;
    if (epoch != planned_epoch_) {
      plan_ = PlanEpoch(job_.train->sequences, options_.batch_size,
                        options_.seed, epoch);
      planned_epoch_ = epoch;
    }
    const int64_t first =
        progress_.step % steps_per_epoch_ * options_.accumulate;
    const int64_t last =
        std::min<int64_t>(first + options_.accumulate, plan_.size());
    const absl::Time start = absl::Now();
    std::vector<int> sequences;
    for (int64_t i = first; i < last; ++i) {
      sequences.insert(sequences.end(), plan_[i].begin(), plan_[i].end());
    }
    double loss = 0;
    std::map<std::string, double> terms;
    for (int64_t i = first; i < last; ++i) {
      const double share =
          static_cast<double>(plan_[i].size()) / sequences.size();
      absl::Status status = Pass(plan_[i], i, share, loss, terms);
      if (!status.ok()) return status;
    }
    const double rate = LinearSchedule(options_.learning_rate, options_.warmup,
                                       progress_.step, steps_);
    const double norm = optimizer_.Step(rate);
    if (!std::isfinite(norm)) {
      return NotFinite("norm of the gradients", norm, sequences);
    }
    ++progress_.step;
    average_.Update(progress_.step);
    RefreshQuantizedWeights();
    return Report(bar, loss, norm, rate, terms, absl::Now() - start);
  }

  // Adds one batch's share to the gradients.
  absl::Status Pass(const std::vector<int>& indices, int64_t index,
                    double share, double& loss,
                    std::map<std::string, double>& terms) {
    at::manual_seed(MixSeeds(MixSeeds(options_.seed, progress_.step), index));
    const TokenBatch batch = MakeTokenBatch(job_.train->sequences, indices,
                                            job_.module->config().task);
    const Loss value = job_.loss(batch);
    const double total = value.total.item<double>();
    if (!std::isfinite(total)) return NotFinite("loss", total, indices);
    (value.total * share).backward();
    loss += total * share;
    for (const auto& [name, term] : value.terms) terms[name] += term * share;
    return absl::OkStatus();
  }

  absl::Status NotFinite(absl::string_view what, double value,
                         const std::vector<int>& indices) const {
    std::vector<std::string> sources;
    for (int index : indices) {
      sources.push_back(job_.train->sequences[index].source);
    }
    return absl::InvalidArgumentError(absl::StrCat(
        job_.train->path, ": the ", what, " is ", value, " at step ",
        progress_.step, ", whose batch has ", absl::StrJoin(sources, ", "),
        "; try a lower learning rate"));
  }

  absl::Status Report(ProgressBar& bar, double loss, double norm, double rate,
                      const std::map<std::string, double>& terms,
                      absl::Duration duration) {
    // An average over about the last 100 steps, for the eye.
    constexpr double kShare = 0.01;
    shown_loss_ =
        shown_loss_ < 0 ? loss : (1 - kShare) * shown_loss_ + kShare * loss;
    bar.Show(progress_.step,
             absl::StrFormat("loss %.4f  rate %.2e", shown_loss_, rate));
    nlohmann::json line = {
        {"event", "step"}, {"step", progress_.step},
        {"loss", loss},    {"gradient_norm", norm},
        {"rate", rate},    {"seconds", absl::ToDoubleSeconds(duration)}};
    if (terms.size() > 1) line["terms"] = terms;
    return log_.Write(line);
  }

  bool IsEvaluationDue() const {
    if (progress_.evaluated_step == progress_.step) return false;
    if (progress_.step == 0) return steps_ == 0;
    const int64_t in_epoch = (progress_.step - 1) % steps_per_epoch_ + 1;
    const int64_t n = options_.evaluations_per_epoch;
    return in_epoch * n / steps_per_epoch_ !=
           (in_epoch - 1) * n / steps_per_epoch_;
  }

  bool IsToStopHere() const {
    return options_.stop_after > 0 && progress_.step == options_.stop_after;
  }

  // Of the average, where there is one. A signal stops it, and it is done again
  // by the run that goes on.
  absl::Status Evaluate(ProgressBar& bar) {
    if (!average_.enabled()) return EvaluateWeights(bar);
    average_.Swap();
    RefreshQuantizedWeights();
    absl::Status status = EvaluateWeights(bar);
    average_.Swap();
    RefreshQuantizedWeights();
    return status;
  }

  absl::Status EvaluateWeights(ProgressBar& bar) {
    const auto show = [&](int64_t done) {
      bar.Show(progress_.step,
               absl::StrCat("dev ", done, "/", job_.dev->sequences.size()));
      return stop_requested == 0;
    };
    const absl::StatusOr<Logits> logits =
        LogitsOf(*job_.module, *job_.dev, options_.batch_size, show);
    if (!logits.ok()) return logits.status();
    const absl::StatusOr<Scores> scores = job_.score(*logits);
    if (!scores.ok()) return scores.status();
    progress_.evaluated_step = progress_.step;
    const bool best = scores->mean > progress_.best_score;
    absl::Status status = log_.Write({{"event", "evaluate"},
                                      {"step", progress_.step},
                                      {"metrics", scores->metrics},
                                      {"best", best}});
    if (!status.ok()) return status;
    std::vector<std::string> shown;
    for (const auto& [name, value] : scores->metrics) {
      shown.push_back(absl::StrFormat("%s %.4f", name, value));
    }
    bar.Say(absl::StrCat(job_.title, " step ", progress_.step, ": dev ",
                         absl::StrJoin(shown, "  "), best ? "  (best)" : ""));
    if (options_.plot) {
      status = PlotLearningCurves(
          job_.folder.log(), absl::StrCat(job_.title, ": ", job_.folder.path),
          job_.folder.curves());
      if (!status.ok()) return status;
    }
    if (!best) return absl::OkStatus();
    progress_.best_score = scores->mean;
    progress_.best_step = progress_.step;
    return job_.save_best();
  }

  absl::Status Save() {
    return SaveCheckpoint(job_.folder.checkpoint(), progress_, job_.description,
                          job_.module->parameters(), optimizer_.state(),
                          average_.averages());
  }

  absl::Status StopHere() {
    absl::Status status = Save();
    if (!status.ok()) return status;
    return absl::CancelledError(absl::StrCat("stopped after step ",
                                             progress_.step, " of ", steps_,
                                             "; --resume goes on from here"));
  }

  const TrainingJob& job_;
  const TrainerOptions& options_;
  AdamW optimizer_;
  WeightAverage average_;
  int64_t steps_per_epoch_ = 0;
  int64_t steps_ = 0;
  RunProgress progress_;
  RunLog log_;
  BatchPlan plan_;
  int64_t planned_epoch_ = -1;
  double shown_loss_ = -1;
};

}  // namespace

absl::StatusOr<TrainingResult> Train(const TrainingJob& job,
                                     const TrainerOptions& options) {
  return Run(job, options).Go();
}

}  // namespace tern
