// What the sanitizers should not report in programs that run gRPC.

// gRPC hands a call's memory from thread to thread under absl::Mutex in a
// library that is not instrumented, so TSan misses every handover and takes it
// for a race. Only reports with a frame of gRPC are dropped; those between
// workers, engine and scheduler stay. worker_test runs these without gRPC
// between them.
extern "C" const char* __tsan_default_suppressions() {
  return "race:grpc::\n"
         "race:libgrpc\n"
         "race:google::protobuf::\n";
}

// gRPC drops TLS handshakes that are under way when the program ends. OpenSSL
// has no frame pointers, so its allocator is all of the stack that is seen.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:CRYPTO_zalloc\n";
}
