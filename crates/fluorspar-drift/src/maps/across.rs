//! The same maps in other sessions.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView3, Axis};

use crate::Error;
use crate::statistics::pearson;

/// A session whose maps are known.
#[derive(Clone, Copy, Debug)]
pub struct MapSession<'a> {
    /// Activity `(traversal, cell, bin)`.
    pub activity: ArrayView3<'a, f32>,
    /// Identity of each cell, shared by all sessions.
    pub cell: &'a [i64],
    /// Elapsed days.
    pub day: f64,
    /// The map of each traversal, from 0, or `None` ([`super::SessionMaps::map`]).
    pub map: &'a [Option<usize>],
}

/// What two sets of traversals are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The same map in two sessions.
    SameMap,
    /// Two maps, of one session or two.
    DifferentMaps,
    /// All traversals of two sessions, whatever their maps: what is found if
    /// nobody looks for maps.
    Mixture,
}

impl Relation {
    /// The relation as a word for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::SameMap => "same map",
            Self::DifferentMaps => "different maps",
            Self::Mixture => "mixture",
        }
    }
}

/// How alike two maps are.
#[derive(Clone, Debug, PartialEq)]
pub struct MapSimilarity {
    /// What is compared.
    pub relation: Relation,
    /// Session and map of the one, both from 0, maps as in
    /// [`MapAlignment::map`]; no map for a mixture.
    pub first: (usize, Option<usize>),
    /// Session and map of the other; the session is not before that of `first`.
    pub second: (usize, Option<usize>),
    /// Elapsed days between the sessions.
    pub days: f64,
    /// Population-vector correlation of the means over traversals.
    pub raw: f64,
    /// Mean similarity of a traversal of the one with one of the other,
    /// divided by the root of the product of those within each (distinct
    /// traversals, the same cells): 1 if nothing changed, whatever the noise
    /// and the numbers of traversals. NaN, with a reason, if one is not above 0.
    pub corrected: f64,
    /// Cells tracked in both and active in at least one.
    pub n_cells: usize,
    /// Traversals of either.
    pub n_traversals: [usize; 2],
    /// Why a value is NaN, or empty.
    pub reason: String,
}

/// Maps with the same number in all sessions.
#[derive(Clone, Debug, PartialEq)]
pub struct MapAlignment {
    /// For each session, the number over all sessions of each of its maps;
    /// numbers from 0 in the order of first appearance.
    pub map: Vec<Vec<usize>>,
    /// How many maps there are in all.
    pub count: usize,
    /// Sessions in which each map occurs, ascending.
    pub sessions: Vec<Vec<usize>>,
    /// Every two maps, and every two sessions as mixtures.
    pub similarity: Vec<MapSimilarity>,
}

/// Finds which maps of different sessions are the same, and how alike they stay.
///
/// Two maps are the same if their corrected similarity is at least
/// `min_similarity`, the most similar first, each session's maps staying
/// apart; likeness carries over (1 like 2 and 2 like 3 makes 1 and 3 the same
/// map), so that a map that drifts slowly is followed as far as its sessions
/// connect. Cells are those tracked in both and active in one of them.
///
/// A map with little reliability is like nothing and stays by itself.
///
/// # Errors
/// [`Error::Session`] for lengths or bins that do not fit, a cell that appears
/// twice, values that are not finite, a day that is not; [`Error::Nothing`]
/// without sessions; [`Error::Parameter`] if `min_similarity` is not between 0
/// and 1.
pub fn align_maps(sessions: &[MapSession<'_>], min_similarity: f64) -> Result<MapAlignment, Error> {
    if !(min_similarity > 0.0 && min_similarity <= 1.0) {
        return Err(Error::Parameter {
            name: "min_similarity",
            value: min_similarity,
            rule: "must lie above 0 and not above 1",
        });
    }
    check(sessions)?;
    let place: Vec<BTreeMap<i64, usize>> = sessions
        .iter()
        .map(|s| s.cell.iter().enumerate().map(|(k, &id)| (id, k)).collect())
        .collect();
    // Every map of every session, then every session as a mixture.
    let mut sets: Vec<Set> = Vec::new();
    for (session, s) in sessions.iter().enumerate() {
        let count = s.map.iter().flatten().max().map_or(0, |m| m + 1);
        sets.extend((0..count).map(|k| Set {
            session,
            map: Some(k),
            traversals: (0..s.map.len()).filter(|&a| s.map[a] == Some(k)).collect(),
        }));
    }
    let maps = sets.len();
    sets.extend(sessions.iter().enumerate().map(|(session, s)| Set {
        session,
        map: None,
        traversals: (0..s.map.len()).filter(|&a| s.map[a].is_some()).collect(),
    }));
    let mut similarity = Vec::new();
    let mut links = Vec::new();
    for i in 0..sets.len() {
        for j in i + 1..sets.len() {
            let (a, b) = (&sets[i], &sets[j]);
            if a.map.is_some() != b.map.is_some() {
                continue;
            }
            let pair = compare(sessions, &place, a, b);
            if i < maps && a.session != b.session && pair.corrected >= min_similarity {
                links.push((pair.corrected, i, j));
            }
            similarity.push((i, j, pair));
        }
    }
    let number = join(&sets[..maps], links);
    let count = number.iter().max().map_or(0, |m| m + 1);
    let mut map = vec![Vec::new(); sessions.len()];
    let mut where_found = vec![Vec::new(); count];
    for (set, &k) in sets.iter().zip(&number) {
        map[set.session].push(k);
        where_found[k].push(set.session);
    }
    let similarity = similarity
        .into_iter()
        .map(|(i, j, mut pair)| {
            if i < maps {
                pair.first.1 = Some(number[i]);
                pair.second.1 = Some(number[j]);
                pair.relation = if number[i] == number[j] {
                    Relation::SameMap
                } else {
                    Relation::DifferentMaps
                };
            }
            pair
        })
        .collect();
    Ok(MapAlignment {
        map,
        count,
        sessions: where_found,
        similarity,
    })
}

/// Traversals of one session that are averaged.
struct Set {
    session: usize,
    map: Option<usize>,
    traversals: Vec<usize>,
}

fn check(sessions: &[MapSession<'_>]) -> Result<(), Error> {
    let Some(first) = sessions.first() else {
        return Err(Error::Nothing("sessions"));
    };
    for (index, session) in sessions.iter().enumerate() {
        let bad = |reason: &str| {
            Err(Error::Session {
                session: index + 1,
                reason: reason.into(),
            })
        };
        let (traversals, cells, bins) = session.activity.dim();
        if session.cell.len() != cells {
            return bad("as many identities as cells are needed");
        }
        if session.map.len() != traversals {
            return bad("as many maps as traversals are needed");
        }
        // A number beyond the traversals would only ask for memory.
        if session.map.iter().flatten().any(|&k| k >= traversals) {
            return bad("maps are numbered from 0 without gaps");
        }
        if bins != first.activity.dim().2 {
            return bad("has other bins than the first");
        }
        if !session.day.is_finite() {
            return bad("the day is not a finite number");
        }
        if session.activity.iter().any(|v| !v.is_finite()) {
            return bad("activity holds a value that is not a finite number");
        }
        let mut identities = session.cell.to_vec();
        identities.sort_unstable();
        if identities.windows(2).any(|pair| pair[0] == pair[1]) {
            return bad("a cell appears twice");
        }
    }
    Ok(())
}

fn compare(
    sessions: &[MapSession<'_>],
    place: &[BTreeMap<i64, usize>],
    a: &Set,
    b: &Set,
) -> MapSimilarity {
    let (x, y) = (&sessions[a.session], &sessions[b.session]);
    let active = |session: &MapSession<'_>, set: &Set, cell: usize| {
        let of = session.activity.index_axis(Axis(1), cell);
        set.traversals
            .iter()
            .any(|&t| of.index_axis(Axis(0), t).iter().any(|v| *v != 0.0))
    };
    let shared: Vec<(usize, usize)> = place[a.session]
        .iter()
        .filter_map(|(id, &i)| place[b.session].get(id).map(|&j| (i, j)))
        .filter(|&(i, j)| active(x, a, i) || active(y, b, j))
        .collect();
    let first: Vec<usize> = shared.iter().map(|pair| pair.0).collect();
    let second: Vec<usize> = shared.iter().map(|pair| pair.1).collect();
    let (u, v) = (
        Vectors::new(x, &a.traversals, &first),
        Vectors::new(y, &b.traversals, &second),
    );
    let (own_a, own_b) = (u.within(), v.within());
    let corrected = if own_a > 0.0 && own_b > 0.0 {
        u.across(&v) / (own_a * own_b).sqrt()
    } else {
        f64::NAN
    };
    MapSimilarity {
        relation: Relation::Mixture,
        first: (a.session, None),
        second: (b.session, None),
        days: (y.day - x.day).abs(),
        raw: u.raw(&v),
        corrected,
        n_cells: shared.len(),
        n_traversals: [a.traversals.len(), b.traversals.len()],
        reason: if corrected.is_finite() {
            String::new()
        } else if shared.len() < 2 {
            "fewer than two cells in common".into()
        } else {
            "activity is not above its noise".into()
        },
    }
}

/// Traversals as population vectors of length 1 about their mean, bin by bin.
struct Vectors {
    /// Sum over traversals of the unit vectors `(bin, cell)`.
    sum: Array2<f64>,
    /// Mean over traversals of activity `(bin, cell)`.
    mean: Array2<f64>,
    /// By bin, traversals whose vector varies.
    counted: Vec<f64>,
}

impl Vectors {
    fn new(session: &MapSession<'_>, traversals: &[usize], cells: &[usize]) -> Self {
        let bins = session.activity.dim().2;
        let mut sum = Array2::<f64>::zeros((bins, cells.len()));
        let mut mean = sum.clone();
        let mut counted = vec![0.0; bins];
        for &traversal in traversals {
            for bin in 0..bins {
                let vector: Vec<f64> = cells
                    .iter()
                    .map(|&cell| f64::from(session.activity[[traversal, cell, bin]]))
                    .collect();
                let middle = vector.iter().sum::<f64>() / vector.len() as f64;
                let about: f64 = vector.iter().map(|v| (v - middle).powi(2)).sum();
                let square: f64 = vector.iter().map(|v| v * v).sum();
                let varies = about > 1e-12 * square;
                for (k, v) in vector.iter().enumerate() {
                    mean[[bin, k]] += v / traversals.len() as f64;
                    if varies {
                        sum[[bin, k]] += (v - middle) / about.sqrt();
                    }
                }
                counted[bin] += f64::from(u8::from(varies));
            }
        }
        Self { sum, mean, counted }
    }

    /// Mean correlation of two distinct traversals, over bins and pairs of
    /// traversals: the squared length of the sum is that of every vector with
    /// every vector, of which each with itself is 1.
    fn within(&self) -> f64 {
        let (mut total, mut pairs) = (0.0, 0.0);
        for (row, &n) in self.sum.rows().into_iter().zip(&self.counted) {
            if n > 1.0 {
                total += row.iter().map(|v| v * v).sum::<f64>() - n;
                pairs += n * (n - 1.0);
            }
        }
        total / pairs
    }

    /// Mean correlation of a traversal of the one with a traversal of the other.
    fn across(&self, other: &Self) -> f64 {
        let (mut total, mut pairs) = (0.0, 0.0);
        let bins = self.sum.rows().into_iter().zip(other.sum.rows());
        for (bin, (p, q)) in bins.enumerate() {
            total += p.iter().zip(q).map(|(p, q)| p * q).sum::<f64>();
            pairs += self.counted[bin] * other.counted[bin];
        }
        total / pairs
    }

    /// Population-vector correlation of the means, over bins where it exists.
    fn raw(&self, other: &Self) -> f64 {
        let (mut total, mut counted) = (0.0, 0.0);
        for (p, q) in self.mean.rows().into_iter().zip(other.mean.rows()) {
            let r = pearson(&p.to_vec(), &q.to_vec());
            if r.is_finite() {
                total += r;
                counted += 1.0;
            }
        }
        total / counted
    }
}

/// Joins maps along `links`, the most similar first, no two of one session;
/// the number of each, in the order of first appearance.
fn join(maps: &[Set], mut links: Vec<(f64, usize, usize)>) -> Vec<usize> {
    // Stable: equal links stay in the order of sessions.
    links.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut group: Vec<usize> = (0..maps.len()).collect();
    for (_, i, j) in links {
        let (a, b) = (group[i], group[j]);
        let sessions = |g: usize| {
            let members = maps.iter().zip(&group);
            members
                .filter(move |(_, h)| **h == g)
                .map(|(m, _)| m.session)
        };
        if a == b || sessions(a).any(|s| sessions(b).any(|t| s == t)) {
            continue;
        }
        for g in &mut group {
            if *g == b {
                *g = a;
            }
        }
    }
    let mut order: Vec<usize> = Vec::new();
    group
        .iter()
        .map(|g| {
            order.iter().position(|o| o == g).unwrap_or_else(|| {
                order.push(*g);
                order.len() - 1
            })
        })
        .collect()
}
