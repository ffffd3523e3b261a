#!/bin/sh
# Copies the scripts that package-lock.json names into this directory, with their licences.
# npm checks every tarball against the lock file's integrity hash. Needs npm and its registry;
# to take a newer version, change package.json and run `npm install --package-lock-only` first.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$work"
(cd "$work" && npm ci --silent)
take() {
    cp "$work/node_modules/$1/$2" "$here/$3.js"
    cp "$work/node_modules/$1/LICENSE" "$here/$3.LICENSE"
}
take htmx.org dist/htmx.min.js htmx
take htmx-ext-sse dist/sse.min.js sse
take idiomorph dist/idiomorph-ext.min.js idiomorph
take uplot dist/uPlot.iife.min.js uplot
cp "$work/node_modules/uplot/dist/uPlot.min.css" "$here/uplot.css"
