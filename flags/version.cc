#include "flags/version.h"

namespace tern {

const char* Version() { return TERN_VERSION; }

}  // namespace tern
