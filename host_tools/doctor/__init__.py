"""What is wrong with an appliance, and what to do about it."""
