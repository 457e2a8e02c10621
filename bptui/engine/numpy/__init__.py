"""The NumPy engine. Inside it samples are columns, so that the bias is one more row and every array is contiguous."""
