// The page on / of the HTTP gateway: server/web/index.html, embedded.

#ifndef TERN_SERVER_WEB_PAGE_H_
#define TERN_SERVER_WEB_PAGE_H_

namespace tern {

extern const char kWebPage[];

}  // namespace tern

#endif  // TERN_SERVER_WEB_PAGE_H_
