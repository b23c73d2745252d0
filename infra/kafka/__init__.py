"""One Apache Kafka node on the loopback, from Maven Central: the Kafka protocol without Docker."""
