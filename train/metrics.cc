#include "train/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

namespace tern {
namespace {

double Ratio(double numerator, double denominator) {
  return denominator == 0 ? 0 : numerator / denominator;
}

// Of label 1 against all others.
struct Confusion {
  double true_positive = 0, false_positive = 0;
  double true_negative = 0, false_negative = 0;

  Confusion(absl::Span<const float> predicted, absl::Span<const float> truth) {
    for (size_t i = 0; i < truth.size(); ++i) {
      const bool said = predicted[i] == 1, is = truth[i] == 1;
      ++(said ? (is ? true_positive : false_positive)
              : (is ? false_negative : true_negative));
    }
  }
};

double Accuracy(absl::Span<const float> predicted,
                absl::Span<const float> truth) {
  double right = 0;
  for (size_t i = 0; i < truth.size(); ++i) right += predicted[i] == truth[i];
  return Ratio(right, truth.size());
}

double F1(const Confusion& c) {
  return Ratio(2 * c.true_positive,
               2 * c.true_positive + c.false_positive + c.false_negative);
}

double Matthews(const Confusion& c) {
  return Ratio(
      c.true_positive * c.true_negative - c.false_positive * c.false_negative,
      std::sqrt((c.true_positive + c.false_positive) *
                (c.true_positive + c.false_negative) *
                (c.true_negative + c.false_positive) *
                (c.true_negative + c.false_negative)));
}

double Pearson(absl::Span<const double> x, absl::Span<const double> y) {
  const double count = x.size();
  const double mean_x = std::accumulate(x.begin(), x.end(), 0.0) / count;
  const double mean_y = std::accumulate(y.begin(), y.end(), 0.0) / count;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean_x) * (y[i] - mean_y);
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
  }
  return Ratio(xy, std::sqrt(xx * yy));
}

std::vector<double> Ranks(absl::Span<const float> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0, end; begin < order.size(); begin = end) {
    end = begin + 1;
    while (end < order.size() && values[order[end]] == values[order[begin]]) {
      ++end;
    }
    for (size_t i = begin; i < end; ++i) {
      ranks[order[i]] = 0.5 * static_cast<double>(begin + end - 1);
    }
  }
  return ranks;
}

}  // namespace

absl::string_view MetricName(Metric metric) {
  switch (metric) {
    case Metric::kAccuracy:
      return "accuracy";
    case Metric::kF1:
      return "f1";
    case Metric::kMatthews:
      return "matthews";
    case Metric::kPearson:
      return "pearson";
    case Metric::kSpearman:
      return "spearman";
  }
  return "";
}

double ComputeMetric(Metric metric, absl::Span<const float> predicted,
                     absl::Span<const float> truth) {
  switch (metric) {
    case Metric::kAccuracy:
      return Accuracy(predicted, truth);
    case Metric::kF1:
      return F1(Confusion(predicted, truth));
    case Metric::kMatthews:
      return Matthews(Confusion(predicted, truth));
    case Metric::kPearson:
      return Pearson(std::vector<double>(predicted.begin(), predicted.end()),
                     std::vector<double>(truth.begin(), truth.end()));
    case Metric::kSpearman:
      return Pearson(Ranks(predicted), Ranks(truth));
  }
  return 0;
}

}  // namespace tern
