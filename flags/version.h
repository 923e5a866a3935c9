#ifndef TERN_FLAGS_VERSION_H_
#define TERN_FLAGS_VERSION_H_

namespace tern {

// Tern's, such as "0.1.0": that of all its programs.
const char* Version();

}  // namespace tern

#endif  // TERN_FLAGS_VERSION_H_
