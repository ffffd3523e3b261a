"""The control plane: composition root, engine, database, API, cockpit."""
