"""The cockpit's pages beside that of an app's present state, one module each."""
