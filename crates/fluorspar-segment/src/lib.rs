//! Find active cells in a denoised calcium-imaging movie
