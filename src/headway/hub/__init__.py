"""A process that holds the connections of nodes, in front of any signal store."""
