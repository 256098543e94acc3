"""What the service's speed is, beside what else a user could take, on the same data in one run."""
