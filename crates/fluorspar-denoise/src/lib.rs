//! Low-rank denoising of calcium-imaging movies by overlapping-block SVD
