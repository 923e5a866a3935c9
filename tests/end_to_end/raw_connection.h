// A TCP connection on which a test sends what no library would, and the frames
// of HTTP/2 to send on it.
//
// One thread.

#ifndef TERN_TESTS_END_TO_END_RAW_CONNECTION_H_
#define TERN_TESTS_END_TO_END_RAW_CONNECTION_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace tern {

class RawConnection {
 public:
  // `target` is an IPv4 address and a port. To this machine it comes from
  // 127.0.0.2, and so looks like another one.
  // Errors: INVALID_ARGUMENT; UNAVAILABLE where nothing can be reached there.
  static absl::StatusOr<RawConnection> Open(const std::string& target);
  ~RawConnection();
  RawConnection(RawConnection&& other)
      : socket_(std::exchange(other.socket_, -1)) {}
  RawConnection& operator=(RawConnection&&) = delete;

  // Sends all of `bytes`. False: the peer has closed, or has taken nothing for
  // ten seconds.
  bool Send(absl::string_view bytes);

  // Waits up to `patience` for bytes: some of them, or none where none came or
  // the peer has closed, as closed() says.
  std::string Receive(absl::Duration patience);
  bool closed() const { return closed_; }

  // Closes with RST instead of FIN.
  void Reset();

 private:
  explicit RawConnection(int socket) : socket_(socket) {}

  int socket_;
  bool closed_ = false;
};

enum class Http2Type : uint8_t {
  kData = 0,
  kHeaders = 1,
  kResetStream = 3,
  kSettings = 4,
  kPing = 6,
  kContinuation = 9,
};
inline constexpr uint8_t kEndStream = 0x1;
inline constexpr uint8_t kEndHeaders = 0x4;

std::string Http2Frame(Http2Type type, uint8_t flags, uint32_t stream,
                       absl::string_view payload);
// What a client says first. Of each response it will take `window` bytes.
std::string Http2Hello(uint32_t window);
// A header block, uncompressed, that begins a gRPC call.
std::string CallHeaders(absl::string_view path);
// A header block of one field, to come after that.
std::string HeaderField(absl::string_view name, absl::string_view value);
// The five bytes before a message of gRPC.
std::string MessagePrefix(uint32_t bytes);

}  // namespace tern

#endif  // TERN_TESTS_END_TO_END_RAW_CONNECTION_H_
