# Sourced by figures that look at pages in a real browser; sets NODE_PATH.

for tool in chromium node npm; do
  command -v "$tool" >/dev/null || {
    echo "$(basename "$0"): $tool is missing (Debian: apt-get install chromium nodejs npm)" >&2
    exit 1
  }
done
cache=$TERN_REPO/.cache/web
[ "$(node -p "require('$cache/node_modules/puppeteer-core/package.json').version" 2>/dev/null)" = 24.43.1 ] ||
  npm install --silent --no-fund --no-audit --prefix "$cache" puppeteer-core@24.43.1 >&2
export NODE_PATH=$cache/node_modules
