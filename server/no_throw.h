// What libraries throw, std::bad_alloc mostly, as a status: it should end one
// call, not the server.

#ifndef TERN_SERVER_NO_THROW_H_
#define TERN_SERVER_NO_THROW_H_

#include <exception>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/log.h"

namespace tern {

// What `step`, a function without arguments, returns; INTERNAL where it throws,
// with a line in the log. `what` says what could not be done.
template <typename Step>
auto NoThrow(absl::string_view what, Step step) -> decltype(step()) {
  try {
    return step();
  } catch (const std::exception& error) {
    Log(LogLevel::kError, what, {{"error", std::string(error.what())}});
    return absl::InternalError(absl::StrCat(what, ": ", error.what()));
  }
}

}  // namespace tern

#endif  // TERN_SERVER_NO_THROW_H_
