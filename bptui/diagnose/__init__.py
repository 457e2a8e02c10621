"""Rules over recorded statistics, and the findings that they give."""
