#include "client/load_picture.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace tern {
namespace {

constexpr double kWidth = 720, kHeight = 420;
constexpr double kLeft = 70, kRight = 20, kTop = 40, kBottom = 50;

// Data to pixels.
class Axes {
 public:
  explicit Axes(const std::vector<LoadPoint>& points) {
    double low = points[0].p50_seconds, high = 0;
    for (const LoadPoint& point : points) {
      most_calls_ = std::max(most_calls_, point.calls_per_second);
      low = std::min(low, point.p50_seconds);
      high = std::max(high, point.p99_seconds);
    }
    low_ = std::floor(std::log10(low));
    high_ = std::max(low_ + 1, std::ceil(std::log10(high)));
  }

  double X(double calls) const {
    const double share = most_calls_ > 0 ? calls / most_calls_ : 0;
    return kLeft + share * (kWidth - kLeft - kRight);
  }
  double Y(double seconds) const {
    const double share = (std::log10(seconds) - low_) / (high_ - low_);
    return kHeight - kBottom - share * (kHeight - kTop - kBottom);
  }

  double most_calls() const { return most_calls_; }
  int low_decade() const { return static_cast<int>(low_); }
  int high_decade() const { return static_cast<int>(high_); }

 private:
  double most_calls_ = 0;
  double low_, high_;  // decades of seconds
};

void AddText(double x, double y, absl::string_view anchor,
             absl::string_view text, std::string& svg) {
  absl::StrAppendFormat(
      &svg, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"%s\">%s</text>\n", x, y,
      anchor,
      absl::StrReplaceAll(text,
                          {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}}));
}

void AddGrid(const Axes& axes, std::string& svg) {
  for (int decade = axes.low_decade(); decade <= axes.high_decade(); ++decade) {
    const double y = axes.Y(std::pow(10.0, decade));
    absl::StrAppendFormat(&svg,
                          "<path d=\"M%.0f %.1fH%.0f\" stroke=\"#ddd\"/>\n",
                          kLeft, y, kWidth - kRight);
    AddText(kLeft - 8, y + 4, "end",
            absl::StrFormat("%g ms", std::pow(10.0, decade + 3)), svg);
  }
  constexpr int kTicks = 5;
  for (int tick = 0; tick <= kTicks; ++tick) {
    const double calls = axes.most_calls() * tick / kTicks;
    AddText(axes.X(calls), kHeight - kBottom + 20, "middle",
            absl::StrFormat("%.0f", calls), svg);
  }
  AddText(kWidth / 2, kHeight - 10, "middle", "requests a second", svg);
}

void AddLine(const Axes& axes, const std::vector<LoadPoint>& points,
             double LoadPoint::*seconds, absl::string_view name,
             absl::string_view colour, std::string& svg) {
  absl::StrAppendFormat(&svg, "<path fill=\"none\" stroke=\"%s\" d=\"", colour);
  for (size_t i = 0; i < points.size(); ++i) {
    absl::StrAppendFormat(&svg, "%s%.1f %.1f", i == 0 ? "M" : "L",
                          axes.X(points[i].calls_per_second),
                          axes.Y(points[i].*seconds));
  }
  svg += "\"/>\n";
  for (const LoadPoint& point : points) {
    absl::StrAppendFormat(
        &svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%d\" fill=\"%s\"/>\n",
        axes.X(point.calls_per_second), axes.Y(point.*seconds),
        point.is_knee ? 7 : 3, colour);
  }
  const LoadPoint& first = points.front();
  AddText(axes.X(first.calls_per_second), axes.Y(first.*seconds) - 10, "middle",
          name, svg);
}

}  // namespace

std::string DrawLoad(absl::string_view title,
                     const std::vector<LoadPoint>& points) {
  const Axes axes(points);
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" "
      "height=\"%.0f\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      kWidth, kHeight);
  AddText(kWidth / 2, 22, "middle", title, svg);
  AddGrid(axes, svg);
  AddLine(axes, points, &LoadPoint::p50_seconds, "p50", "#1f77b4", svg);
  AddLine(axes, points, &LoadPoint::p99_seconds, "p99", "#d62728", svg);
  svg += "</svg>\n";
  return svg;
}

}  // namespace tern
