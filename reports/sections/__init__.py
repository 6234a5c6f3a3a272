"""A report's topics, one a file: prose, tables and figures."""
