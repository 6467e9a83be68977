//! Laws of drift over days, and the test of crystallization.
