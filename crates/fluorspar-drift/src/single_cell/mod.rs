//! What single cells are selective for, when they fire, and which of them come and go.
