// client/service_config.json, compiled in: how calls are spread and retried.

#ifndef TERN_CLIENT_SERVICE_CONFIG_H_
#define TERN_CLIENT_SERVICE_CONFIG_H_

namespace tern {

extern const char kServiceConfig[];

}  // namespace tern

#endif  // TERN_CLIENT_SERVICE_CONFIG_H_
