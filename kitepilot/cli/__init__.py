"""The command line: starts, watches, stops and explains everything."""
