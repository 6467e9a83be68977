//! Linear decoders on Gram matrices with cross-validation, for neural populations
