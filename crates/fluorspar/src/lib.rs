//! Raw calcium movies to an answer about representational drift: the fluorspar crates under one name
