//! The same cells across imaging sessions: alignment, matching, match probability
