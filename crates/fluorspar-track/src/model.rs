/// Placeholder, being written.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct MatchModel {}
