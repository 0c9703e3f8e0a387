"""Kafka, as the shells need it: group membership, transactions, reading back. Everything here speaks to librdkafka."""
