"""The torch engine: one layer at a time, backward by autograd, on the CPU or CUDA."""
