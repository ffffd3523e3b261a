"""Where changes come from: a git repository, and the forge that knows who has reviewed them."""
