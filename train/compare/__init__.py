"""The documents' comparisons, one file each: training runs that differ in one setting, their table and their plot."""
