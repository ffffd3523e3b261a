"""Builds: manifest, packs, publish and fetch.

publish   a directory → manifest, pack of new blobs, index, signed attestation → store
fetch     store → verified manifest and verified content
make      a commit → a clean worktree → the app's build command → a directory
"""
