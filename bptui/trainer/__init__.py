"""The trainer process: computes, writes raw records to the ring, and looks at one flag each step."""
