//! Where in the space of activity a code moves: drift vectors and their parts.
