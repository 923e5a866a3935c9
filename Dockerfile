# Tern's server, its client for the health check, and the small models.
#
#   docker build -t tern . && docker run --read-only -p 8500:8500 -p 9464:9464 tern
#
# Arguments of your own replace those of CMD: bring --tls-certificate and
# --tls-key, or repeat --insecure.
#
# The last stage holds the two programs, the shared libraries they load and
# nothing else: no shell, no package manager.

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY script/bootstrap script/
RUN script/bootstrap build
COPY . .
RUN cmake --preset release -DTERN_TESTS=OFF -DTERN_BENCH=OFF \
 && cmake --build build/release --target tern-server tern \
 && strip build/release/bin/tern-server build/release/bin/tern
RUN deploy/collect-runtime /rootfs build/release/bin/tern-server build/release/bin/tern

FROM scratch
COPY --from=build /rootfs /
COPY --from=build /src/LICENSE /usr/share/doc/tern/LICENSE
COPY --from=build /src/models/sst2-minilm /models/sst2-minilm
COPY --from=build /src/models/squad-minilm /models/squad-minilm
ENV PATH=/usr/bin
USER 65532:65532
EXPOSE 8500 9464
# SIGTERM drains; give it longer than --lame-duck plus --drain-timeout.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["tern", "health"]
ENTRYPOINT ["tern-server", "--listen=0.0.0.0:8500", "--metrics-listen=0.0.0.0:9464"]
CMD ["--models-dir=/models", "--log-format=json", "--insecure"]
