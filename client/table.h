// Tables for a terminal.

#ifndef TERN_CLIENT_TABLE_H_
#define TERN_CLIENT_TABLE_H_

#include <string>
#include <vector>

namespace tern {

// Prints rows of equally many cells to stdout, the columns left-aligned;
// control characters in the cells become spaces.
void PrintTable(std::vector<std::vector<std::string>> rows);

}  // namespace tern

#endif  // TERN_CLIENT_TABLE_H_
