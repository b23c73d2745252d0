"""The log's tail as streams to many readers, none of whom can slow it."""
