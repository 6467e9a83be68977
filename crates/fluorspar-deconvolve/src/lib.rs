//! OASIS deconvolution of calcium traces, with noise and time-constant estimates
