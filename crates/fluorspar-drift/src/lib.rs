//! Representational drift with its uncertainty: similarity, decoding, rates, crystallization
