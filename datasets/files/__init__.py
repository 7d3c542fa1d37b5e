"""Files that hold more than 8-bit RGB: TIFF, PNG of 16 bits and NumPy files, read to the bit."""
