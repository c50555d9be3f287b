"""Repartition: copy the log to more partitions, its next epoch, with the states that belong to it."""
