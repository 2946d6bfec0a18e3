"""What is drawn on an image by hand or by a program, and the class map, boxes or points that it makes."""
