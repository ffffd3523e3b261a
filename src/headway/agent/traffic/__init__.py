"""Taking an instance of the app out of traffic, and putting it back, by several means."""
