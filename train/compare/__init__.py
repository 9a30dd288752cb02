"""The documents' comparisons, a file each: training runs that differ in one thing, their table and their plot."""
