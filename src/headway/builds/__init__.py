"""Builds: manifest, packs, publish and fetch."""
