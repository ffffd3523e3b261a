"""Chat: the grammar of commands and what is said in return (pure), and the networks."""
