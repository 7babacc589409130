"""Reading a step file and its test cases."""
