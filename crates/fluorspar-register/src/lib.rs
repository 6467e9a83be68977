//! Motion correction of two-photon movies by whitened phase correlation
