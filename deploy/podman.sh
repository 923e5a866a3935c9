# Sourced from the repository's root: podman with all its state in build/container.
# Sets image, and CONTAINERS_CONF for podman.

state=build/container
image=localhost/tern
base=docker.io/library/$(sed -n 's/^FROM \(debian:[^ ]*\).*/\1/p' Dockerfile)

podman_here() {
  podman --root "$PWD/$state/storage" --runroot "$PWD/$state/run" "$@"
}

write_configuration() {
  mkdir -p "$state"
  cat >"$state/containers.conf" <<'CONF'
# What works in a plain sandbox too: no systemd, no network of its own.
[containers]
netns = "host"
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]

[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
  export CONTAINERS_CONF=$PWD/$state/containers.conf
}

# The base image is made from Debian's packages under the name that FROM uses, so
# no container registry is asked.
import_base() {
  podman_here image exists "$base" && return
  deploy/debian-base - --format=tar | podman_here import --quiet - "$base" >/dev/null
}

# Builds the image where its sources have changed since the last time.
build_image() {
  write_configuration
  import_base
  podman_here build --format docker --pull-never --quiet --tag "$image" . >/dev/null
}
