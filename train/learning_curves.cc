#include "train/learning_curves.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "files/regular_file.h"
#include "nlohmann/json.hpp"

namespace tern {
namespace {

using nlohmann::json;

struct Point {
  double step;
  double value;
};
using Curve = std::vector<Point>;

struct Curves {
  Curve loss;
  std::map<std::string, Curve> metrics;
};

Curves ReadLog(std::ifstream& file) {
  Curves curves;
  for (std::string text; std::getline(file, text);) {
    const json line = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!line.is_object()) continue;  // cut short by a crash
    const std::string event = line.value("event", "");
    const double step = line.value("step", 0.0);
    if (event == "step") {
      curves.loss.push_back({step, line.value("loss", 0.0)});
    } else if (event == "evaluate") {
      for (const auto& [name, value] : line["metrics"].items()) {
        curves.metrics[name].push_back({step, value.get<double>()});
      }
    }
  }
  return curves;
}

Curve Averaged(const Curve& curve) {
  const double share =
      1 / std::max(1.0, static_cast<double>(curve.size()) / 50);
  Curve averaged = curve;
  for (size_t i = 1; i < averaged.size(); ++i) {
    averaged[i].value =
        (1 - share) * averaged[i - 1].value + share * averaged[i].value;
  }
  return averaged;
}

// 1, 2 or 5 times a power of ten, about a fifth of `range`.
double TickStep(double range) {
  const double raw = range / 5;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw) return factor * power;
  }
  return 10 * power;
}

// One pair of axes in the picture.
class Panel {
 public:
  Panel(double left, const std::string& name, double last_step)
      : left_(left), name_(name), last_step_(std::max(1.0, last_step)) {}

  void Include(const Curve& curve) {
    for (const Point& point : curve) {
      low_ = std::min(low_, point.value);
      high_ = std::max(high_, point.value);
    }
  }

  // Call it after all curves were included.
  std::string Axes() {
    if (low_ > high_) low_ = 0, high_ = 1;
    // Also where they differ by rounding alone, and no tick lies between.
    if (high_ - low_ <= 1e-9 * std::abs(high_)) low_ -= 0.5, high_ += 0.5;
    std::string svg = absl::StrFormat(
        "<rect x='%g' y='%g' width='%g' height='%g' fill='none' "
        "stroke='#888'/>\n<text x='%g' y='%g'>%s</text>\n",
        left_, kTop, kWidth, kHeight, left_, kTop - 8, name_);
    const double step = TickStep(high_ - low_);
    for (double v = std::ceil(low_ / step) * step; v <= high_; v += step) {
      absl::StrAppendFormat(
          &svg,
          "<line x1='%g' x2='%g' y1='%.1f' y2='%.1f' stroke='#ddd'/>\n"
          "<text x='%g' y='%.1f' text-anchor='end'>%g</text>\n",
          left_, left_ + kWidth, Y(v), Y(v), left_ - 6, Y(v) + 4,
          std::abs(v) < step / 2 ? 0 : v);
    }
    const double step_x = TickStep(last_step_);
    for (double x = 0; x <= last_step_; x += step_x) {
      absl::StrAppendFormat(
          &svg, "<text x='%.1f' y='%g' text-anchor='middle'>%g</text>\n", X(x),
          kTop + kHeight + 18, x);
    }
    return svg;
  }

  std::string Line(const Curve& curve, const std::string& color,
                   double width) const {
    std::string svg = absl::StrFormat(
        "<polyline fill='none' stroke='%s' stroke-width='%g' points='", color,
        width);
    for (const Point& point : curve) {
      absl::StrAppendFormat(&svg, "%.1f,%.1f ", X(point.step), Y(point.value));
    }
    return svg + "'/>\n";
  }

  std::string Dots(const Curve& curve, const std::string& color) const {
    std::string svg;
    for (const Point& point : curve) {
      absl::StrAppendFormat(
          &svg,
          "<circle cx='%.1f' cy='%.1f' r='3' fill='%s'><title>step %g: "
          "%.4f</title></circle>\n",
          X(point.step), Y(point.value), color, point.step, point.value);
    }
    return svg;
  }

  std::string Legend(int index, const std::string& text,
                     const std::string& color) const {
    return absl::StrFormat("<text x='%g' y='%g' fill='%s'>%s</text>\n",
                           left_ + 10, kTop + kHeight - 12 - 16 * index, color,
                           text);
  }

  static constexpr double kTop = 60, kWidth = 380, kHeight = 280;

 private:
  double X(double step) const { return left_ + kWidth * step / last_step_; }
  double Y(double value) const {
    return kTop + kHeight * (high_ - value) / (high_ - low_);
  }

  const double left_;
  const std::string name_;
  const double last_step_;
  double low_ = std::numeric_limits<double>::infinity();
  double high_ = -std::numeric_limits<double>::infinity();
};

std::string Draw(const Curves& curves, const std::string& title) {
  const double last_step = curves.loss.empty() ? 0 : curves.loss.back().step;
  std::string svg = absl::StrFormat(
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 920 380' "
      "font-family='sans-serif' font-size='12'>\n"
      "<rect width='920' height='380' fill='white'/>\n"
      "<text x='60' y='24' font-size='15'>%s</text>\n",
      absl::StrReplaceAll(title, {{"&", "&amp;"}, {"<", "&lt;"}}));
  Panel loss(60, "loss", last_step);
  loss.Include(curves.loss);
  absl::StrAppend(&svg, loss.Axes(), loss.Line(curves.loss, "#b8cbe4", 0.7),
                  loss.Line(Averaged(curves.loss), "#1f5fa8", 1.8));

  Panel metrics(510, "on the dev file", last_step);
  for (const auto& [name, curve] : curves.metrics) metrics.Include(curve);
  absl::StrAppend(&svg, metrics.Axes());
  const std::vector<std::string> colors = {"#1f5fa8", "#c2571a", "#2c7a3f"};
  int index = 0;
  for (const auto& [name, curve] : curves.metrics) {
    const std::string& color = colors[index % colors.size()];
    absl::StrAppend(&svg, metrics.Line(curve, color, 1.5),
                    metrics.Dots(curve, color),
                    metrics.Legend(index, name, color));
    ++index;
  }
  return svg + "</svg>\n";
}

}  // namespace

absl::Status PlotLearningCurves(const std::string& log,
                                const std::string& title,
                                const std::string& to) {
  std::ifstream file(log);
  if (!file) return absl::NotFoundError(absl::StrCat(log, ": cannot be read"));
  const std::string svg = Draw(ReadLog(file), title);
  return WriteFileAtomically(
      to, {{reinterpret_cast<const uint8_t*>(svg.data()), svg.size()}});
}

}  // namespace tern
