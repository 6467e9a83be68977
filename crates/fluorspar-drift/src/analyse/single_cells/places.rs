use super::super::context::Context;

/// The cells of each session that can be used, and where each cell of the
/// experiment is among them.
#[derive(Debug)]
pub(super) struct Places {
    members: Vec<Vec<Member>>,
    /// `(session, global number)`.
    positions: Vec<Vec<u32>>,
}

/// A cell in a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) global: usize,
    /// In the session's arrays.
    pub(super) index: usize,
}

const ABSENT: u32 = u32::MAX;

impl Places {
    pub(super) fn new(context: &Context<'_>) -> Self {
        let members: Vec<Vec<Member>> = (0..context.sessions.len())
            .map(|s| {
                let of = context.roster.of(s);
                of.map(|(global, index)| Member { global, index }).collect()
            })
            .collect();
        let positions = members
            .iter()
            .map(|members| {
                let mut positions = vec![ABSENT; context.roster.cells];
                for (position, member) in members.iter().enumerate() {
                    positions[member.global] = position as u32;
                }
                positions
            })
            .collect();
        Self { members, positions }
    }

    /// Usable cells of a session.
    pub(super) fn members(&self, session: usize) -> &[Member] {
        &self.members[session]
    }

    /// Place of a cell among the members of a session.
    pub(super) fn find(&self, session: usize, global: usize) -> Option<usize> {
        let position = self.positions[session][global];
        (position != ABSENT).then_some(position as usize)
    }

    /// Places among the members of `i` and of `j` of the cells seen in both.
    pub(super) fn shared(&self, i: usize, j: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.members[i]
            .iter()
            .enumerate()
            .filter_map(move |(place, member)| Some((place, self.find(j, member.global)?)))
    }
}
