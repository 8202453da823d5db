"""The tasks of the LSM papers, the simple methods they are held against, and the metrics."""
