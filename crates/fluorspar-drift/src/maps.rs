//! Several maps within a session: trials that switch between codes are not drift.
