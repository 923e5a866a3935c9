// A flag as a library that is linked in may have one.

#include "absl/flags/flag.h"

ABSL_FLAG(bool, of_a_library, false, "is none of the program's");
