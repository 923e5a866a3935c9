#include "client/table.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "client/command.h"

namespace tern {

void PrintTable(std::vector<std::vector<std::string>> rows) {
  for (auto& row : rows) {
    for (std::string& cell : row) cell = OneLine(cell);
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      size_t width = 0;
      for (const auto& other : rows) width = std::max(width, other[c].size());
      absl::StrAppendFormat(&line, "%-*s  ", width, row[c]);
    }
    absl::StripTrailingAsciiWhitespace(&line);
    std::puts(line.c_str());
  }
}

}  // namespace tern
