"""What makes the documentation: measured runs, worked numbers, pictures, reference pages."""
