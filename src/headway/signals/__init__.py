"""The signal store: where one small write moves the fleet."""
