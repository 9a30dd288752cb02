"""What goes into the file that a device gets, and how it is written."""
