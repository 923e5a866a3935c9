// What gRPC and Protocol Buffers have to say, in our log.
//
// They would write lines of their own form to stderr; and Protocol Buffers one
// for every string of a client's that is not UTF-8, of which the client is told
// anyway, hence these count as debug.

#ifndef TERN_SERVER_LIBRARY_LOGS_H_
#define TERN_SERVER_LIBRARY_LOGS_H_

namespace tern {

// For the whole process; call it after SetUpLog and before using either.
void RouteLibraryLogs();

}  // namespace tern

#endif  // TERN_SERVER_LIBRARY_LOGS_H_
